// Operators that only move codes about: strided copies.
import type { GraphNode, Tensor } from "../graph/types.ts";
import { isWeighted } from "../quantized/fusions.ts";
import { type Builder, encode, noIntegerForm, type UnplacedValue } from "./builder.ts";
import { rescaleTable } from "./elementwise.ts";
import { stridesOf } from "./layout.ts";

interface Move {
  readonly dims: readonly number[];
  readonly inStrides: readonly number[];
  readonly inOffset?: number;
  readonly outStrides?: readonly number[];
  readonly outOffset?: number;
  readonly fill?: number;
}

type Rule = (b: Builder, node: GraphNode) => void;

/** A single copy of `node.inputs[0]` into `output` with the same encoding. */
function emitMove(b: Builder, node: GraphNode, inputIndex: number, output: number, move: Move): void {
  b.emit({
    kernel: "copy",
    nodes: [node.name],
    input: inputIndex,
    output,
    inOffset: 0,
    outOffset: 0,
    outStrides: stridesOf(b.value(output)),
    ...move,
  });
}

function constantInts(b: Builder, node: GraphNode, i: number): number[] | undefined {
  const name = node.inputs[i];
  if (!name) return undefined;
  const tensor: Tensor | undefined = b.graph.constants.get(name);
  if (!tensor) throw noIntegerForm(node, `input ${i} computed at run time`, "a constant");
  return Array.from(tensor.data as BigInt64Array, Number);
}

const rowReaders = new Set(["Reshape", "Transpose", "MatMul", "Softmax", "LayerNormalization"]);

/** Rows stay rows on their way to what reads rows; everything else gets the usual order. */
function moveOrder(b: Builder, name: string): readonly number[] | undefined {
  return b.readers(name).every((reader) => reader && rowReaders.has(reader.op)) ? b.dims(name).map((_, axis) => axis) : undefined;
}

/** Without padding, in the model's order. */
const isDense = ({ dims, order, pitch }: UnplacedValue): boolean => order.every((axis, i) => axis === i) && pitch === (dims.at(-1) ?? 1);

/** Row-major contents under another shape: through a flat copy, unless one side is flat already. */
const lowerReshape: Rule = (b, node) => {
  const from = b.index(node.inputs[0]!);
  const source = b.value(from);
  const to = b.codes(node.outputs[0]!, moveOrder(b, node.outputs[0]!));
  const target = b.value(to);
  const flatDims = [source.dims.reduce((product, d) => product * d, 1)];
  if (isDense(source) && isDense(target)) return emitMove(b, node, from, to, { dims: flatDims, inStrides: [1], outStrides: [1] });
  const rowMajor = (dims: readonly number[]): number[] => dims.map((_, i) => dims.slice(i + 1).reduce((product, d) => product * d, 1));
  if (target.dims.length <= 1)
    return emitMove(b, node, from, to, { dims: source.dims, inStrides: stridesOf(source), outStrides: rowMajor(source.dims) });
  let flat = from;
  if (source.dims.length > 1) {
    flat = b.temporary(node.outputs[0]!, flatDims, source);
    emitMove(b, node, from, flat, { dims: source.dims, inStrides: stridesOf(source), outStrides: rowMajor(source.dims) });
  }
  emitMove(b, node, flat, to, { dims: target.dims, inStrides: rowMajor(target.dims) });
};

const lowerTranspose: Rule = (b, node) => {
  const from = b.index(node.inputs[0]!);
  const source = b.value(from);
  const permutation = (node.attributes.perm as readonly number[] | undefined) ?? source.dims.map((_, i) => i + 1).reverse();
  const perm = permutation.filter((axis) => axis !== 0).map((axis) => axis - 1);
  if (perm.length !== source.dims.length || permutation[0] !== 0)
    throw noIntegerForm(node, "a transposed batch axis", "the batch axis in front");
  const strides = stridesOf(source);
  const [y = ""] = node.outputs;
  // Products of activations read any order: there, nothing need move.
  const products = b.readers(y).every((reader) => reader?.op === "MatMul" && !isWeighted(b.graph, reader));
  const to = b.codes(y, products ? source.order.map((axis) => perm.indexOf(axis)) : moveOrder(b, y));
  emitMove(b, node, from, to, { dims: b.value(to).dims, inStrides: perm.map((axis) => strides[axis]!) });
};

const lowerSlice: Rule = (b, node) => {
  const from = b.index(node.inputs[0]!);
  const source = b.value(from);
  const rank = source.dims.length + 1;
  const starts = constantInts(b, node, 1)!;
  const axes = constantInts(b, node, 3) ?? starts.map((_, i) => i);
  const steps = constantInts(b, node, 4) ?? starts.map(() => 1);
  const strides = stridesOf(source);
  let inOffset = 0;
  for (const [i, axis] of axes.entries()) {
    const a = ((axis + rank) % rank) - 1;
    if (a < 0) throw noIntegerForm(node, "a slice of the batch axis", "slices of other axes");
    const size = source.dims[a]!;
    const start = starts[i]! < 0 ? starts[i]! + size : starts[i]!;
    inOffset += Math.min(Math.max(start, 0), steps[i]! < 0 ? size - 1 : size) * strides[a]!;
    strides[a]! *= steps[i]!;
  }
  const to = b.codes(node.outputs[0]!);
  emitMove(b, node, from, to, { dims: b.value(to).dims, inStrides: strides, inOffset });
};

const lowerSplit: Rule = (b, node) => {
  const from = b.index(node.inputs[0]!);
  const strides = stridesOf(b.value(from));
  const rank = strides.length + 1;
  const axis = ((Number(node.attributes.axis ?? 0) + rank) % rank) - 1;
  if (axis < 0) throw noIntegerForm(node, "a split of the batch axis", "splits of other axes");
  let start = 0;
  for (const name of node.outputs) {
    const to = b.codes(name);
    const { dims } = b.value(to);
    emitMove(b, node, from, to, { dims, inStrides: strides, inOffset: start * strides[axis]! });
    start += dims[axis]!;
  }
};

const lowerPad: Rule = (b, node) => {
  if ((node.attributes.mode ?? "constant") !== "constant") throw noIntegerForm(node, `mode ${node.attributes.mode}`, "mode constant");
  const from = b.index(node.inputs[0]!);
  const source = b.value(from);
  const rank = source.dims.length + 1;
  const axes = (constantInts(b, node, 3) ?? Array.from({ length: rank }, (_, i) => i)).map((axis) => (axis + rank) % rank);
  const pads = constantInts(b, node, 1)!;
  const value = node.inputs[2] ? Number(b.graph.constants.get(node.inputs[2])?.data[0] ?? Number.NaN) : 0;
  const to = b.codes(node.outputs[0]!);
  const outStrides = stridesOf(b.value(to));
  const inStrides = stridesOf(source);
  const dims = [...source.dims];
  let inOffset = 0;
  let outOffset = 0;
  for (const [i, axis] of axes.entries()) {
    const [before, after] = [pads[i]!, pads[i + axes.length]!];
    if (axis === 0) {
      if (before || after) throw noIntegerForm(node, "padding of the batch axis", "padding of other axes");
      continue;
    }
    // Negative padding crops.
    dims[axis - 1]! += Math.min(before, 0) + Math.min(after, 0);
    inOffset += Math.max(-before, 0) * inStrides[axis - 1]!;
    outOffset += Math.max(before, 0) * outStrides[axis - 1]!;
  }
  emitMove(b, node, from, to, { dims, inStrides, inOffset, outStrides, outOffset, fill: encode(value, b.encoding(node.outputs[0]!)) });
};

/** Depth [b, c, h·w] and space trade places; both orders of ONNX. */
const lowerDepthSpace: Rule = (b, node) => {
  const block = Number(node.attributes.blocksize);
  const from = b.index(node.inputs[0]!);
  const to = b.codes(node.outputs[0]!);
  const toSpace = node.op === "DepthToSpace";
  const [deep, wide] = (toSpace ? [from, to] : [to, from]).map((i) => b.value(i)) as [
    ReturnType<Builder["value"]>,
    ReturnType<Builder["value"]>,
  ];
  const [depth, height, width] = deep.dims as [number, number, number];
  const channels = depth / (block * block);
  const [dc, dh, dw] = stridesOf(deep) as [number, number, number];
  const [wc, wh, ww] = stridesOf(wide) as [number, number, number];
  const columnRowDepth = node.attributes.mode === "CRD";
  // axes: block row, block column, channel, height, width
  const deepStrides = columnRowDepth ? [block * dc, dc, block * block * dc, dh, dw] : [block * channels * dc, channels * dc, dc, dh, dw];
  const wideStrides = [wh, ww, wc, block * wh, block * ww];
  const dims = [block, block, channels, height, width];
  emitMove(b, node, from, to, { dims, inStrides: toSpace ? deepStrides : wideStrides, outStrides: toSpace ? wideStrides : deepStrides });
};

/** Nearest neighbour by whole factors: every convention of ONNX picks input ⌊i / factor⌋. */
const lowerResize: Rule = (b, node) => {
  const from = b.index(node.inputs[0]!);
  const source = b.value(from);
  const to = b.codes(node.outputs[0]!);
  const target = b.value(to);
  const factors = source.dims.map((d, i) => target.dims[i]! / d);
  const nearest = (node.attributes.mode ?? "nearest") === "nearest";
  const transform = (node.attributes.coordinate_transformation_mode as string | undefined) ?? "half_pixel";
  const rounding = (node.attributes.nearest_mode as string | undefined) ?? "round_prefer_floor";
  const floors =
    (transform === "asymmetric" && rounding === "floor") ||
    ((transform === "half_pixel" || transform === "pytorch_half_pixel") && rounding.startsWith("round_prefer"));
  if (!nearest || !floors || factors.some((f) => f !== Math.floor(f))) {
    throw noIntegerForm(
      node,
      `mode ${node.attributes.mode ?? "nearest"} by factors ${factors.join(" × ")}`,
      "nearest neighbour by whole factors",
    );
  }
  const inStrides = stridesOf(source);
  const outStrides = stridesOf(target);
  emitMove(b, node, from, to, {
    dims: source.dims.flatMap((d, i) => [d, factors[i]!]),
    inStrides: inStrides.flatMap((s) => [s, 0]),
    outStrides: outStrides.flatMap((s, i) => [s * factors[i]!, s]),
  });
};

/** Indices along an axis: one copy for each run of evenly spaced ones. */
const lowerGather: Rule = (b, node) => {
  const from = b.index(node.inputs[0]!);
  const source = b.value(from);
  const rank = source.dims.length + 1;
  const axis = ((Number(node.attributes.axis ?? 0) + rank) % rank) - 1;
  const tensor = b.graph.constants.get(node.inputs[1]!);
  if (axis < 0) throw noIntegerForm(node, "a selection along the batch axis", "other axes");
  if (tensor && tensor.dims.length > 1) throw noIntegerForm(node, `indices of rank ${tensor.dims.length}`, "one index or a list");
  const indices = constantInts(b, node, 1)!.map((index) => (index < 0 ? index + source.dims[axis]! : index));
  const to = b.codes(node.outputs[0]!);
  const inStrides = stridesOf(source);
  const outStrides = stridesOf(b.value(to));
  if (tensor?.dims.length === 0) outStrides.splice(axis, 0, 0);
  for (let start = 0; start < indices.length; ) {
    const step = (indices[start + 1] ?? 0) - indices[start]!;
    let end = start + 1;
    while (end < indices.length && indices[end]! - indices[end - 1]! === step) end++;
    emitMove(b, node, from, to, {
      dims: source.dims.with(axis, end - start),
      inStrides: inStrides.with(axis, end - start > 1 ? inStrides[axis]! * step : 0),
      inOffset: indices[start]! * inStrides[axis]!,
      outStrides,
      outOffset: start * outStrides[axis]!,
    });
    start = end;
  }
};

/** Whole repetitions along axes: each axis becomes [repeats, size]. */
const lowerTile: Rule = (b, node) => {
  const from = b.index(node.inputs[0]!);
  const source = b.value(from);
  const [batch, ...repeats] = constantInts(b, node, 1)!;
  if (batch !== 1) throw noIntegerForm(node, "a repetition along the batch axis", "other axes");
  const to = b.codes(node.outputs[0]!);
  const outStrides = stridesOf(b.value(to));
  emitMove(b, node, from, to, {
    dims: source.dims.flatMap((d, i) => [repeats[i]!, d]),
    inStrides: stridesOf(source).flatMap((s) => [0, s]),
    outStrides: outStrides.flatMap((s, i) => [s * source.dims[i]!, s]),
  });
};

/** Repetition: a stride of 0 along axes of size 1. */
const lowerExpand: Rule = (b, node) => {
  const from = b.index(node.inputs[0]!);
  const source = b.value(from);
  const to = b.codes(node.outputs[0]!);
  const { dims } = b.value(to);
  const strides = stridesOf(source);
  if (dims.length !== source.dims.length) throw noIntegerForm(node, "a change of rank", "the same rank");
  emitMove(b, node, from, to, { dims, inStrides: strides.map((s, i) => (source.dims[i] === dims[i] ? s : 0)) });
};

/** Each input is copied to its place, through a table when its scale is another. */
const lowerConcat: Rule = (b, node) => {
  const to = b.codes(node.outputs[0]!);
  const target = b.value(to);
  const y = b.encoding(node.outputs[0]!);
  const rank = target.dims.length + 1;
  const axis = ((Number(node.attributes.axis) + rank) % rank) - 1;
  if (axis < 0) throw noIntegerForm(node, "concatenation along the batch axis", "other axes");
  const outStrides = stridesOf(target);
  let start = 0;
  for (const name of node.inputs) {
    let from = b.has(name) ? b.index(name) : b.constant(node, name, target.dims.length, target.order);
    const source = b.value(from);
    if (source.scale[0] !== y.scale || source.zeroPoint !== y.zeroPoint) {
      const rescaled = b.temporary(name, source.dims, { ...source, scale: [y.scale], zeroPoint: y.zeroPoint });
      const table = b.tensor(node, "table", rescaleTable(source, y));
      b.emit({ kernel: "lookup", nodes: [node.name], input: from, output: rescaled, table, perChannel: false });
      from = rescaled;
    }
    emitMove(b, node, from, to, { dims: source.dims, inStrides: stridesOf(source), outStrides, outOffset: start * outStrides[axis]! });
    start += source.dims[axis]!;
  }
};

export const moveRules: Readonly<Record<string, Rule>> = {
  Reshape: lowerReshape,
  Flatten: lowerReshape,
  Squeeze: lowerReshape,
  Unsqueeze: lowerReshape,
  Transpose: lowerTranspose,
  Slice: lowerSlice,
  Split: lowerSplit,
  Pad: lowerPad,
  DepthToSpace: lowerDepthSpace,
  SpaceToDepth: lowerDepthSpace,
  Resize: lowerResize,
  Gather: lowerGather,
  Expand: lowerExpand,
  Tile: lowerTile,
  Concat: lowerConcat,
};
