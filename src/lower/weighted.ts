// Conv, ConvTranspose, Gemm and MatMul with constant weights: codes, folded bias, multipliers, and what happens in the epilogue.
import { powerOfTwo } from "../formats/powers.ts";
import { roundHalfEven } from "../formats/rounding.ts";
import type { GraphNode } from "../graph/types.ts";
import { quantizeMultiplier } from "../ops/integer/requantize.ts";
import type { ConvStep, Epilogue, Requantization } from "../plan/types.ts";
import { biasCode } from "../quantized/bias.ts";
import type { FusedUnit } from "../quantized/units.ts";
import { accumulatorIntervals, type Interval, magnitude, tapCodes, tiesExcluded, union } from "./accumulator.ts";
import { type Builder, clampCodes, noIntegerForm, type UnplacedValue } from "./builder.ts";
import { type Layer, type LayerWeights, layerOf } from "./layers.ts";
import { packLevels } from "./levels.ts";

export function lowerWeighted(b: Builder, unit: FusedUnit, accumulatorValues: ReadonlySet<string>): void {
  const node = unit.anchor;
  const layer = layerOf(b, node);
  const { input: inputIndex, step, weights, geometry, groups } = layer;
  const input = b.value(inputIndex);
  // Dense layers keep features last, of images too.
  const order = node.op === "Gemm" || node.op === "MatMul" ? input.order : undefined;

  const accumulatorScale = Array.from(weights.scales, (s) => step * s);
  const bias = foldedBias(b, node, unit.bias ?? node.inputs[2], layer);
  const codes = tapCodes(b.range(inputIndex), input.zeroPoint, geometry.pads);
  const intervals = accumulatorIntervals(weights.codes, bias, codes, `${node.op} '${node.name}'`);
  const stays = accumulatorValues.has(unit.output);
  const { lo, hi } = union(intervals);
  const output = stays ? b.accumulators(unit.output, accumulatorScale, magnitude({ lo, hi }), order) : b.codes(unit.output, order);
  b.emit({
    kernel: "conv",
    nodes: unit.nodes.map(({ name }) => name),
    input: inputIndex,
    output,
    window: weights.window,
    ...geometry,
    groups,
    ...storedWeights(b, node, weights),
    bias: b.tensor(node, "bias", Int32Array.from(bias)),
    epilogue: stays ? { kind: "accumulator" } : epilogue(b, unit, output, accumulatorScale, intervals),
    accumulator: [lo, hi],
  });
}

/** As the plan keeps them: packed where the format has at most 4 bits. */
function storedWeights(b: Builder, node: GraphNode, { bits, codes }: LayerWeights): Pick<ConvStep, "weights" | "codes"> {
  const packed = bits <= 4 ? packLevels(codes) : undefined;
  if (!packed) return { weights: b.tensor(node, "weights", codes) };
  const weights = b.tensor(node, "weights", packed.stream);
  return { weights, codes: { bits: packed.bits, levels: b.tensor(node, "levels", packed.levels) } };
}

/** b′ = rne(b / (s_x·s_w)) − rne(Σ z_x w), exact for padded taps too because they hold z_x; integers already but for stored numbers. */
function foldedBias(b: Builder, node: GraphNode, name: string | undefined, { step, zeros, weights, groups }: Layer): Float64Array {
  const bias = name ? b.graph.constants.get(name) : undefined;
  if (name && !bias) throw noIntegerForm(node, "a bias computed at run time", "a constant bias");
  const fixed = (b.pixels?.weights.has(node.name) ? b.pixels : b.quantized).biases?.get(node.name);
  const taps = weights.codes.length / weights.outputs;
  const inputs = taps / (weights.window[0] * weights.window[1]);
  return Float64Array.from({ length: weights.outputs }, (_, o) => {
    const first = Math.floor((o * groups) / weights.outputs) * inputs;
    let sum = 0;
    for (let i = 0; i < taps; i++) sum += zeros[zeros.length === 1 ? 0 : first + (i % inputs)]! * weights.codes[o * taps + i]!;
    const real = bias ? Number(bias.data[bias.data.length === 1 ? 0 : o]) : 0;
    return (fixed?.[o] ?? biasCode(real, step, weights.scales[o]!)) - roundHalfEven(sum);
  });
}

function epilogue(
  b: Builder,
  unit: FusedUnit,
  output: number,
  accumulatorScale: readonly number[],
  intervals: readonly Interval[],
): Epilogue {
  const y = b.encoding(unit.output);
  const { lo, hi } = clampCodes(y, unit.clamp);
  if (unit.residual) return residualEpilogue(b, unit, output, accumulatorScale, intervals, { zero: y.zeroPoint, lo, hi, scale: y.scale });
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
  output: number,
  accumulatorScale: readonly number[],
  intervals: readonly Interval[],
  y: { readonly zero: number; readonly lo: number; readonly hi: number; readonly scale: number },
): Epilogue {
  const index = b.inOrder(unit.anchor, b.index(unit.residual!.value), b.value(output).order);
  const residual: UnplacedValue = b.value(index);
  const own = accumulatorScale.map((s) => s / y.scale);
  const other = own.map((_, c) => residual.scale[residual.scale.length === 1 ? 0 : c]! / y.scale);
  const { lo, hi } = b.range(index);
  const bound =
    residual.type === "int8" ? magnitude({ lo: lo - residual.zeroPoint, hi: hi - residual.zeroPoint }) : b.accumulatorBound(index);
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
