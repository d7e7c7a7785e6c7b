// Conv, ConvTranspose, Gemm and MatMul with constant weights: codes, folded bias, multipliers, and what happens in the epilogue.
import { assert } from "../errors.ts";
import { powerOfTwo } from "../formats/powers.ts";
import { roundHalfEven } from "../formats/rounding.ts";
import type { GraphNode } from "../graph/types.ts";
import { quantizeMultiplier } from "../ops/integer/requantize.ts";
import type { Epilogue, Requantization } from "../plan/types.ts";
import { biasCode } from "../quantized/bias.ts";
import type { FusedUnit } from "../quantized/units.ts";
import { accumulatorIntervals, type Interval, magnitude, tiesExcluded, union } from "./accumulator.ts";
import { type Builder, clampCodes, noIntegerForm, type UnplacedValue } from "./builder.ts";
import { imageOf } from "./layout.ts";
import { windowOf } from "./window.ts";

/** Weights of one layer as the plan keeps them: [outputs][kh][kw][inputs per group]. */
interface LayerWeights {
  readonly outputs: number;
  readonly window: readonly [number, number];
  readonly codes: Int8Array;
  /** One per output. */
  readonly scales: Float64Array;
}

export function lowerWeighted(b: Builder, unit: FusedUnit, accumulatorValues: ReadonlySet<string>): void {
  const node = unit.anchor;
  if (node.op === "ConvTranspose") {
    throw noIntegerForm(
      node,
      "a transposed convolution",
      "Conv, Gemm or MatMul",
      "Use Resize and Conv, or write an ONNX file instead of a plan.",
    );
  }
  const inputIndex = b.index(node.inputs[0]!);
  const input = b.value(inputIndex);
  const place = `${node.op} '${node.name}'`;
  const image = imageOf(input.dims);
  if (input.type !== "int8" || !image)
    throw noIntegerForm(node, `an input of shape [${input.dims.join(", ")}]`, "one to three axes besides the batch");
  if (node.op === "Conv" && input.dims.length !== 3)
    throw noIntegerForm(node, `a ${input.dims.length - 1}-D convolution`, "a 2-D convolution");

  const weights = node.op === "Conv" ? convWeights(b, node) : denseWeights(b, node);
  const geometry =
    node.op === "Conv"
      ? windowOf(node, [image.height, image.width], weights.window)
      : ({ stride: [1, 1], dilation: [1, 1], pads: [0, 0, 0, 0] } as const);
  const groups = node.op === "Conv" ? Number(node.attributes.group ?? 1) : 1;

  const accumulatorScale = Array.from(weights.scales, (s) => input.scale[0]! * s);
  const bias = foldedBias(b, node, unit.bias ?? node.inputs[2], weights, input);
  const intervals = accumulatorIntervals(weights.codes, bias, { lo: -128, hi: 127 }, place);
  const stays = accumulatorValues.has(unit.output);
  const { lo, hi } = union(intervals);
  const output = stays ? b.accumulators(unit.output, accumulatorScale, magnitude({ lo, hi })) : b.codes(unit.output);
  b.emit({
    kernel: "conv",
    nodes: unit.nodes.map(({ name }) => name),
    input: inputIndex,
    output,
    window: weights.window,
    ...geometry,
    groups,
    weights: b.tensor(node, "weights", weights.codes),
    bias: b.tensor(node, "bias", Int32Array.from(bias)),
    epilogue: stays ? { kind: "accumulator" } : epilogue(b, unit, accumulatorScale, intervals),
    accumulator: [lo, hi],
  });
}

/** Codes [O, I/g, kh, kw] → [O][kh][kw][I/g]. */
function convWeights(b: Builder, node: GraphNode): LayerWeights {
  const { codes, dims, encoding } = weightsOf(b, node);
  const [outputs, inputs, height, width] = dims as [number, number, number, number];
  const moved = new Int8Array(codes.length);
  const taps = height * width;
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++)
      for (let t = 0; t < taps; t++) moved[(o * taps + t) * inputs + i] = codes[(o * inputs + i) * taps + t]!;
  return { outputs, window: [height, width], codes: moved, scales: scalesOf(encoding.scale, outputs) };
}

/** Gemm's [N,K] (transB) or [K,N], MatMul's [K,N] → [N][K]. */
function denseWeights(b: Builder, node: GraphNode): LayerWeights {
  const { codes, dims, encoding } = weightsOf(b, node);
  const { alpha = 1, beta = 1, transA = 0, transB = 0 } = node.attributes as Record<string, number>;
  if (dims.length !== 2 || alpha !== 1 || beta !== 1 || transA !== 0) {
    throw noIntegerForm(node, `alpha ${alpha}, beta ${beta}, transA ${transA}, weights of rank ${dims.length}`, "x·W + b with a matrix W");
  }
  const [rows, columns] = dims as [number, number];
  if (transB) return { outputs: rows, window: [1, 1], codes, scales: scalesOf(encoding.scale, rows) };
  const moved = new Int8Array(codes.length);
  for (let k = 0; k < rows; k++) for (let n = 0; n < columns; n++) moved[n * rows + k] = codes[k * columns + n]!;
  return { outputs: columns, window: [1, 1], codes: moved, scales: scalesOf(encoding.scale, columns) };
}

function weightsOf(b: Builder, node: GraphNode): { codes: Int8Array; dims: readonly number[]; encoding: { scale: Float32Array } } {
  const weights = b.quantized.weights.get(node.name);
  if (!weights) {
    throw noIntegerForm(
      node,
      "weights left in float",
      "weights with integer codes",
      "A plan is integer throughout: drop the --exclude, or write an ONNX file.",
    );
  }
  assert(weights.encoding.levels.kind === "linear", "weights are linear");
  if (weights.encoding.zeroPoint.every((z) => z === 0)) return weights;
  // Affine weights become level tables c − z, which fit int8 at 7 bits and fewer.
  const { axis } = weights.encoding.granularity as { axis: number };
  const inner = weights.dims.slice(axis + 1).reduce((product, d) => product * d, 1);
  const zeros = weights.encoding.zeroPoint;
  return { ...weights, codes: weights.codes.map((c, i) => c - zeros[zeros.length === 1 ? 0 : Math.floor(i / inner) % zeros.length]!) };
}

const scalesOf = (scale: Float32Array, outputs: number): Float64Array =>
  Float64Array.from({ length: outputs }, (_, o) => scale[scale.length === 1 ? 0 : o]!);

/** b′ = rne(b / (s_x·s_w)) − z_x·Σw, exact for padded taps too because they hold z_x. */
function foldedBias(b: Builder, node: GraphNode, name: string | undefined, weights: LayerWeights, input: UnplacedValue): Float64Array {
  const bias = name ? b.graph.constants.get(name) : undefined;
  if (name && !bias) throw noIntegerForm(node, "a bias computed at run time", "a constant bias");
  const fixed = b.quantized.biases?.get(node.name);
  const taps = weights.codes.length / weights.outputs;
  return Float64Array.from({ length: weights.outputs }, (_, o) => {
    let sum = 0;
    for (let i = o * taps; i < (o + 1) * taps; i++) sum += weights.codes[i]!;
    const real = bias ? Number(bias.data[bias.data.length === 1 ? 0 : o]) : 0;
    return (fixed?.[o] ?? biasCode(real, input.scale[0]!, weights.scales[o]!)) - input.zeroPoint * sum;
  });
}

function epilogue(b: Builder, unit: FusedUnit, accumulatorScale: readonly number[], intervals: readonly Interval[]): Epilogue {
  const y = b.encoding(unit.output);
  const { lo, hi } = clampCodes(y, unit.clamp);
  if (unit.residual) return residualEpilogue(b, unit, accumulatorScale, intervals, { zero: y.zeroPoint, lo, hi, scale: y.scale });
  const factors = accumulatorScale.map((s) => s / y.scale);
  return { kind: "requantize", ...requantization(b, unit.anchor, factors, intervals, { zero: y.zeroPoint, lo, hi }) };
}

/** Multipliers for y = zero + round(acc · factor[c]). Half up where that provably equals half to even, since it is cheaper. */
export function requantization(
  b: Builder,
  node: GraphNode,
  factors: readonly number[],
  intervals: readonly Interval[],
  output: { readonly zero: number; readonly lo: number; readonly hi: number },
): Requantization {
  const fixed = factors.map(quantizeMultiplier);
  const exact = fixed.every(({ multiplier, shift }, c) =>
    tiesExcluded(magnitude(intervals[intervals.length === 1 ? 0 : c]!), multiplier, shift),
  );
  return {
    multiplier: b.tensor(
      node,
      "multiplier",
      Int32Array.from(fixed, ({ multiplier }) => multiplier),
    ),
    shift: b.tensor(
      node,
      "shift",
      Int32Array.from(fixed, ({ shift }) => shift),
    ),
    rounding: exact ? "single" : "even",
    ...output,
  };
}

/** y = zero + rne((acc·q1 + r·q2) / 2^T) with T as large as 32-bit multipliers and a 62-bit sum allow. */
function residualEpilogue(
  b: Builder,
  unit: FusedUnit,
  accumulatorScale: readonly number[],
  intervals: readonly Interval[],
  y: { readonly zero: number; readonly lo: number; readonly hi: number; readonly scale: number },
): Epilogue {
  const index = b.index(unit.residual!.value);
  const residual: UnplacedValue = b.value(index);
  const own = accumulatorScale.map((s) => s / y.scale);
  const other = own.map((_, c) => residual.scale[residual.scale.length === 1 ? 0 : c]! / y.scale);
  const bound = residual.type === "int8" ? 255 : b.accumulatorBound(index);
  const bits = sharedBits(own, other, Math.max(...intervals.map(magnitude)), bound);
  const fixed = (factor: number): number => roundHalfEven(factor * powerOfTwo(bits));
  return {
    kind: "residual",
    value: index,
    residualZero: residual.zeroPoint,
    multiplier: b.tensor(unit.anchor, "multiplier", Int32Array.from(own, fixed)),
    residualMultiplier: b.tensor(unit.anchor, "residual-multiplier", Int32Array.from(other, fixed)),
    bits,
    zero: y.zero,
    lo: y.lo,
    hi: y.hi,
  };
}

/** The largest T ≤ 40 with all factors · 2^T below 2^31 and boundA·a·2^T + boundB·b·2^T below 2^62. */
export function sharedBits(a: readonly number[], b: readonly number[], boundA: number, boundB: number): number {
  const fits = (bits: number): boolean => {
    const unit = powerOfTwo(bits);
    return a.every((factor, c) => {
      const p = Math.abs(factor) * unit + 1;
      const q = Math.abs(b[c]!) * unit + 1;
      return p < 0x7fffffff && q < 0x7fffffff && p * boundA + q * boundB < 4.6e18;
    });
  };
  let bits = 40;
  while (bits > 0 && !fits(bits)) bits--;
  return bits;
}
