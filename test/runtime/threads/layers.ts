import { imageView } from "../../../src/plan/layout.ts";
import type { Epilogue, Plan } from "../../../src/plan/types.ts";
import { Builder, Dice } from "../../plan/random.ts";

interface Shape {
  readonly outputs: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly groups?: number;
  readonly pad?: number;
  /** Value added in the epilogue, of the output's shape. */
  readonly residual?: number;
  readonly accumulators?: boolean;
}

export function conv(builder: Builder, input: number, shape: Shape): number {
  const { outputs, kernel, stride = 1, groups = 1, pad = (kernel - 1) / 2, residual } = shape;
  const { dice, values } = builder;
  const x = imageView(values[input]!);
  const side = Math.floor((x.height + 2 * pad - kernel) / stride) + 1;
  const output = builder.value([outputs, side, side], shape.accumulators ? "int32" : "int8");
  const taps = (kernel * kernel * x.channels) / groups;
  const weights = dice.codes(outputs * taps, -15, 15);
  const bias = Int32Array.from({ length: outputs }, () => dice.between(-2000, 2000));
  let [lo, hi] = [0, 0];
  for (let o = 0; o < outputs; o++) {
    let [least, most] = [bias[o]!, bias[o]!];
    for (const w of weights.subarray(o * taps, (o + 1) * taps)) {
      least += Math.min(w * -128, w * 127);
      most += Math.max(w * -128, w * 127);
    }
    [lo, hi] = [Math.min(lo, least), Math.max(hi, most)];
  }
  const row = (value: number): string => builder.tensor(new Int32Array(outputs).fill(value));
  const range = { zero: 3, lo: -128, hi: 127 };
  const spread = Math.ceil(Math.log2(taps)) / 2 + 5;
  const requantize: Epilogue = {
    kind: "requantize",
    multiplier: row(2 ** 30 + 12_345),
    shift: row(-Math.round(spread)),
    rounding: "even",
    ...range,
  };
  const wide = (value: number): Epilogue => ({
    kind: "residual",
    value,
    residualZero: 1,
    multiplier: row(2 ** 10),
    residualMultiplier: row(2 ** 18),
    bits: 20,
    ...range,
  });
  const epilogue: Epilogue = shape.accumulators ? { kind: "accumulator" } : residual === undefined ? requantize : wide(residual);
  builder.steps.push({
    kernel: "conv",
    nodes: [`conv_${builder.steps.length}`],
    input,
    output,
    window: [kernel, kernel],
    stride: [stride, stride],
    dilation: [1, 1],
    pads: [pad, pad, pad, pad],
    groups,
    weights: builder.tensor(weights),
    bias: builder.tensor(bias),
    epilogue,
    accumulator: [lo, hi],
  });
  return output;
}

/** Convolutions of every kind, each large enough to be split: many slices, few, one; groups, depthwise, one pixel, residuals, accumulators. */
export function layers(): Plan {
  const builder = new Builder(new Dice(11));
  const input = builder.value([16, 112, 112]);
  const pointwise = conv(builder, input, { outputs: 32, kernel: 1 });
  const depthwise = conv(builder, pointwise, { outputs: 32, kernel: 3, groups: 32 });
  const grouped = conv(builder, depthwise, { outputs: 31 + 1, kernel: 5, stride: 4, groups: 2 });
  const wide = conv(builder, grouped, { outputs: 256, kernel: 3 });
  const strided = conv(builder, wide, { outputs: 250, kernel: 3, stride: 2 });
  const one = conv(builder, strided, { outputs: 250, kernel: 3 });
  builder.values[one]!.pitch = builder.values[strided]!.pitch;
  const residual = conv(builder, one, { outputs: 250, kernel: 3, residual: strided });
  builder.values[residual]!.pitch = builder.values[strided]!.pitch;
  const pixel = conv(builder, residual, { outputs: 128, kernel: 14, pad: 0 });
  const sums = conv(builder, residual, { outputs: 100, kernel: 1, accumulators: true });
  return builder.finish([input], [pixel, sums, residual]);
}
