// The table of integer forms: which rule makes steps of which unit. What is not here has no integer form, and is refused by name.
import { roundHalfEven } from "../formats/rounding.ts";
import type { GraphNode } from "../graph/types.ts";
import { exp } from "../ops/math.ts";
import { largestBias } from "../quantized/bias.ts";
import type { FusedUnit, Unit } from "../quantized/units.ts";
import { accumulatorIntervals, union } from "./accumulator.ts";
import { type Builder, clampCodes, noIntegerForm } from "./builder.ts";
import { lowerProduct, lowerSum, lowerTable } from "./elementwise.ts";
import { imageOf, stridesOf } from "./layout.ts";
import { lowerLayerNormalization, lowerMatmul } from "./matrices.ts";
import { moveRules } from "./moves.ts";
import { isSpatialMean, lowerAveragePool, lowerMaxPool } from "./pools.ts";
import { lowerWeighted, requantization } from "./weighted.ts";

type NodeRule = (b: Builder, node: GraphNode) => void;
type FusedRule = (b: Builder, unit: FusedUnit, accumulators: ReadonlySet<string>) => void;

const averageUnit: FusedRule = (b, unit) => lowerAveragePool(b, unit.anchor, unit.nodes, unit.output, unit.clamp);

const fusedRules: Readonly<Record<string, FusedRule>> = {
  Conv: lowerWeighted,
  ConvTranspose: lowerWeighted,
  Gemm: lowerWeighted,
  MatMul: lowerWeighted,
  Add: lowerSum,
  Sub: lowerSum,
  Mul: lowerProduct,
  AveragePool: averageUnit,
  GlobalAveragePool: averageUnit,
  ReduceMean: (b, unit) => {
    if (!isSpatialMean(b, unit.anchor)) throw noIntegerForm(unit.anchor, "a mean over other axes", "a mean over all positions");
    averageUnit(b, unit, new Set());
  },
  BatchNormalization: lowerBatchNormalization,
};

const nodeRules: Readonly<Record<string, NodeRule>> = {
  ...moveRules,
  MaxPool: lowerMaxPool,
  GlobalMaxPool: lowerMaxPool,
  Softmax: lowerSoftmax,
  LayerNormalization: lowerLayerNormalization,
  // Of two activations: weights are a unit's anchor.
  MatMul: lowerMatmul,
  // With a constant that is no table's: as large as the value.
  Add: (b, node) => lowerSum(b, alone(node)),
  Sub: (b, node) => lowerSum(b, alone(node)),
  Mul: (b, node) => lowerProduct(b, alone(node)),
};

const alone = (node: GraphNode): FusedUnit => ({ kind: "fused", anchor: node, nodes: [node], output: node.outputs[0]! });

/** @throws HalftoneError NO_INTEGER_FORM */
export function lowerUnit(b: Builder, unit: Unit, accumulators: ReadonlySet<string>): void {
  if (unit.kind === "pointwise") {
    lowerTable(b, unit);
  } else if (unit.kind === "fused") {
    (fusedRules[unit.anchor.op] ?? refuse(unit.anchor))(b, unit, accumulators);
  } else {
    (nodeRules[unit.node.op] ?? refuse(unit.node))(b, unit.node);
  }
}

function refuse(node: GraphNode): never {
  throw noIntegerForm(node, `operator ${node.op}`, `one of ${knownOps.join(", ")}`);
}

const knownOps = [...new Set([...Object.keys(fusedRules), ...Object.keys(nodeRules), "element-wise functions of one value"])];

/** Of a channel that is nothing but 0. */
const leastScale = 1e-12;

/** A normalization that no convolution could take in: a depthwise 1×1 convolution with codes ±127. */
function lowerBatchNormalization(b: Builder, unit: FusedUnit): void {
  const node = unit.anchor;
  const index = b.inUsualOrder(node, b.index(node.inputs[0]!));
  const input = b.value(index);
  const image = imageOf(input.dims);
  const [gamma, beta, mean, variance] = node.inputs
    .slice(1, 5)
    .map((name) => b.graph.constants.get(name)?.data as Float32Array | undefined);
  if (!image || !gamma || !beta || !mean || !variance) throw noIntegerForm(node, "statistics computed at run time", "constant statistics");
  const epsilon = Number(node.attributes.epsilon ?? 1e-5);
  const y = b.encoding(unit.output);
  const factor = Float64Array.from(gamma, (g, c) => g / Math.sqrt(variance[c]! + epsilon));
  const shift = Float64Array.from(factor, (k, c) => beta[c]! - mean[c]! * k);
  // Coarser where the factor is so small that the bias would leave its 31 bits.
  const scales = Array.from(factor, (k, c) =>
    Math.max((input.scale[0]! * Math.abs(k)) / 127, Math.abs(shift[c]!) / largestBias, leastScale),
  );
  const weights = Int8Array.from(factor, (k, c) => roundHalfEven((k * input.scale[0]!) / scales[c]!));
  const bias = Float64Array.from(shift, (real, c) => roundHalfEven(real / scales[c]!) - input.zeroPoint * weights[c]!);
  const intervals = accumulatorIntervals(weights, bias, b.range(index), `${node.op} '${node.name}'`);
  const { lo, hi } = union(intervals);
  b.emit({
    kernel: "conv",
    nodes: unit.nodes.map(({ name }) => name),
    input: index,
    output: b.codes(unit.output),
    window: [1, 1],
    stride: [1, 1],
    dilation: [1, 1],
    pads: [0, 0, 0, 0],
    groups: image.channels,
    weights: b.tensor(node, "weights", weights),
    bias: b.tensor(node, "bias", Int32Array.from(bias)),
    epilogue: {
      kind: "requantize",
      ...requantization(
        b,
        node,
        scales.map((s) => s / y.scale),
        intervals,
        { zero: y.zeroPoint, ...clampCodes(y, unit.clamp) },
      ),
    },
    accumulator: [lo, hi],
  });
}

/**
 * E[k] = rne(exp(−k·s)·2²³): all an 8-bit softmax needs of the exponential. An axis that is not the last in memory changes places
 * with it for the while.
 */
function lowerSoftmax(b: Builder, node: GraphNode): void {
  const [x = "", y = ""] = [node.inputs[0], node.outputs[0]];
  const from = b.index(x);
  const input = b.value(from);
  const rank = input.dims.length + 1;
  const axis = ((Number(node.attributes.axis ?? -1) + rank) % rank) - 1;
  const last = input.order.at(-1);
  if (axis < 0 || last === undefined) throw noIntegerForm(node, "a softmax over the batch axis", "other axes");
  const { scale, zeroPoint } = b.encoding(y);
  if (scale !== 1 / 256 || zeroPoint !== -128) {
    throw noIntegerForm(
      node,
      `an output of scale ${scale}, zero point ${zeroPoint + 128}`,
      "scale 1/256, zero point 0 of uint8",
      "Give it these, with 8 bits, or end the program before it.",
    );
  }
  const data = Uint32Array.from({ length: 256 }, (_, k) => roundHalfEven(exp(-k * input.scale[0]!) * 0x800000));
  const table = b.tensor(node, "table", data);
  const nodes = [node.name];
  const to = b.codes(y, input.order);
  if (axis === last) {
    b.emit({ kernel: "softmax", nodes, input: from, output: to, table });
    return;
  }
  const swapped = <T>(list: readonly T[]): T[] => list.with(axis, list[last]!).with(last, list[axis]!);
  const turned = b.temporary(x, swapped(input.dims), input, input.order);
  const result = b.temporary(y, swapped(input.dims), b.value(to), input.order);
  const there = { inStrides: swapped(stridesOf(input)), outStrides: stridesOf(b.value(turned)) };
  const back = { inStrides: swapped(stridesOf(b.value(result))), outStrides: stridesOf(b.value(to)) };
  const start = { inOffset: 0, outOffset: 0 };
  b.emit({ kernel: "copy", nodes, input: from, output: turned, dims: swapped(input.dims), ...there, ...start });
  b.emit({ kernel: "softmax", nodes, input: turned, output: result, table });
  b.emit({ kernel: "copy", nodes, input: result, output: to, dims: input.dims, ...back, ...start });
}
