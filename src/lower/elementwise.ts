// Sums and products of two activations, and every function of one value as a table.
import { roundHalfEven } from "../formats/rounding.ts";
import { powerOfTwo } from "../formats/powers.ts";
import type { GraphNode, Tensor } from "../graph/types.ts";
import { quantizeMultiplier } from "../ops/integer/requantize.ts";
import { operators } from "../ops/registry.ts";
import type { FusedUnit, PointwiseUnit } from "../quantized/units.ts";
import { assert } from "../errors.ts";
import { type Builder, type CodeEncoding, clampCodes, encode, noIntegerForm, type UnplacedValue } from "./builder.ts";
import { sharedBits } from "./weighted.ts";

/** y = z_y + rne((a − z_a)·s_a/s_y ± (b − z_b)·s_b/s_y): one rounding. */
export function lowerSum(b: Builder, unit: FusedUnit): void {
  const [first, second, swapped] = operands(b, unit.anchor);
  const y = b.encoding(unit.output);
  const [firstSign, secondSign] = unit.anchor.op !== "Sub" ? [1, 1] : swapped ? [-1, 1] : [1, -1];
  const own = [(firstSign! * b.value(first).scale[0]!) / y.scale];
  const other = [(secondSign! * b.value(second).scale[0]!) / y.scale];
  const bits = sharedBits(own, other, 255, 255);
  b.emit({
    kernel: "add",
    nodes: unit.nodes.map(({ name }) => name),
    inputs: [first, second],
    output: b.codes(unit.output, b.value(first).order),
    multipliers: [roundHalfEven(own[0]! * powerOfTwo(bits)), roundHalfEven(other[0]! * powerOfTwo(bits))],
    bits,
    zero: y.zeroPoint,
    ...clampCodes(y, unit.clamp),
  });
}

/** y = z_y + rne((a − z_a)(b − z_b)·s_a·s_b/s_y). */
export function lowerProduct(b: Builder, unit: FusedUnit): void {
  const [first, second] = operands(b, unit.anchor);
  const y = b.encoding(unit.output);
  b.emit({
    kernel: "mul",
    nodes: unit.nodes.map(({ name }) => name),
    inputs: [first, second],
    output: b.codes(unit.output, b.value(first).order),
    ...quantizeMultiplier((b.value(first).scale[0]! * b.value(second).scale[0]!) / y.scale),
    zero: y.zeroPoint,
    ...clampCodes(y, unit.clamp),
  });
}

/**
 * The two inputs with the larger one first, and whether that is the second; the other has the same shape, one element per channel, or one
 * element, and its axes in the same order. One of them may be a constant.
 */
function operands(b: Builder, node: GraphNode): [large: number, small: number, swapped: boolean] {
  const known = b.value(b.index(node.inputs.find((name) => b.has(name))!));
  const indices = node.inputs.map((name) => (b.has(name) ? b.index(name) : b.constant(node, name, known.dims.length, known.order)));
  const count = (i: number): number => b.value(i).dims.reduce((product, d) => product * d, 1);
  const swap = count(indices[0]!) < count(indices[1]!);
  const [large, other] = (swap ? indices.toReversed() : indices) as [number, number];
  const fits = b.value(other).dims.length === b.value(large).dims.length;
  const small = fits ? b.inOrder(node, other, b.value(large).order) : other;
  const a = b.value(large);
  const c = b.value(small);
  const channelAxis = a.order.at(-1);
  const perChannel = c.dims.every((d, i) => d === 1 || (i === channelAxis && d === a.dims[i]));
  const same = c.dims.every((d, i) => d === a.dims[i]);
  if (a.type !== "int8" || c.type !== "int8" || a.dims.length !== c.dims.length || !(same || perChannel)) {
    throw noIntegerForm(node, `shapes [${a.dims.join(", ")}] and [${c.dims.join(", ")}]`, "equal shapes, or one value per channel");
  }
  return [large, small, swap];
}

/** All nodes between root and output as one table of 256 codes, or one such table per channel: one rounding. */
export function lowerTable(b: Builder, unit: PointwiseUnit): void {
  const perChannel = unit.nodes.some((node) => node.inputs.some((name) => (b.graph.constants.get(name)?.data.length ?? 1) > 1));
  const root = b.index(unit.root);
  const inputIndex = perChannel ? b.inUsualOrder(unit.nodes[0]!, root) : root;
  const input = b.value(inputIndex);
  const y = b.encoding(unit.output);
  const rank = input.dims.length + 1;
  const channelAxis = rank === 4 ? 1 : rank - 1;
  const channels = perChannel ? input.dims[channelAxis - 1]! : 1;

  // 256 codes along one axis that is not the channel's, channels along theirs.
  const codeAxis = rank === 4 ? 3 : rank - 2;
  const dims = new Array<number>(perChannel ? rank : 1).fill(1);
  if (perChannel) {
    dims[channelAxis] = channels;
    dims[codeAxis] = 256;
  } else dims[0] = 256;
  const codesInside = !perChannel || codeAxis > channelAxis;
  const at = (channel: number, code: number): number => (codesInside ? channel * 256 + code : code * channels + channel);
  const x = new Float32Array(256 * channels);
  for (let c = 0; c < channels; c++) for (let k = 0; k < 256; k++) x[at(c, k)] = input.scale[0]! * (k - 128 - input.zeroPoint);

  const values = evaluate(b, unit, { dtype: "float32", dims, data: x });
  const table = new Int8Array(256 * channels);
  for (let c = 0; c < channels; c++) for (let k = 0; k < 256; k++) table[c * 256 + k] = encodeFinite(Number(values.data[at(c, k)]), y);
  const node = unit.nodes.at(-1)!;
  b.emit({
    kernel: "lookup",
    nodes: unit.nodes.map(({ name }) => name),
    input: inputIndex,
    output: b.codes(unit.output, input.order),
    table: b.tensor(node, "table", table),
    perChannel,
  });
}

/** A function may be undefined on codes that never occur (log of a negative number): those get the code of 0. */
const encodeFinite = (real: number, y: CodeEncoding): number => (Number.isNaN(real) ? y.zeroPoint : encode(real, y));

function evaluate(b: Builder, unit: PointwiseUnit, root: Tensor): Tensor {
  const known = new Map<string, Tensor>([[unit.root, root]]);
  for (const node of unit.nodes) {
    const inputs = node.inputs.map((name) => (name ? (known.get(name) ?? b.graph.constants.get(name)) : undefined));
    const results = operators.get(node.op)!.reference(node, inputs);
    for (const [i, name] of node.outputs.entries()) if (name) known.set(name, results[i]!);
  }
  const output = known.get(unit.output);
  assert(output, "the last node of a table makes its output");
  return output;
}

/** A table that re-encodes codes from one scale to another: the same result as arithmetic. */
export function rescaleTable(from: Pick<UnplacedValue, "scale" | "zeroPoint">, to: CodeEncoding): Int8Array {
  return Int8Array.from({ length: 256 }, (_, k) => encode(from.scale[0]! * (k - 128 - from.zeroPoint), to));
}
