// Nodes whose output always equals their input.

import { type Editor, rewriteEach } from "../editor.ts";
import { numbersOf } from "../tensors.ts";
import type { Dim, GraphNode, Rewrite } from "../types.ts";

type IsNoop = (node: GraphNode, edit: Editor) => boolean;

/** True when both values have the same, completely known or symbolic, shape. */
export function sameDims(edit: Editor, a: string | undefined, b: string | undefined): boolean {
  const x = edit.fact(a)?.dims;
  const y = edit.fact(b)?.dims;
  return x !== undefined && y !== undefined && equalDims(x, y);
}

function equalDims(a: readonly Dim[], b: readonly Dim[]): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

const keepsShape: IsNoop = (node, edit) => sameDims(edit, node.inputs[0], node.outputs[0]);
const keepsType: IsNoop = (node, edit) => {
  const from = edit.fact(node.inputs[0])?.dtype;
  return from !== undefined && from === edit.fact(node.outputs[0])?.dtype;
};

/** A constant input all of whose elements are `value`. An absent one counts as no such constant. */
function isAll(edit: Editor, name: string | undefined, value: number): boolean {
  const tensor = edit.constant(name);
  return tensor !== undefined && numbersOf(tensor).every((x) => x === value);
}

const all = (name: keyof GraphNode["attributes"], value: number, node: GraphNode): boolean => {
  const list = node.attributes[name];
  return list === undefined || (Array.isArray(list) && list.every((x) => x === value));
};

/** A window of one element that moves by one. */
const isUnitWindow: IsNoop = (node, edit) =>
  all("kernel_shape", 1, node) && all("strides", 1, node) && all("pads", 0, node) && node.outputs.length === 1 && keepsShape(node, edit);

/** Inference mode: a mask that somebody reads, or a training flag that is not a constant false, keeps the node. */
const isInferenceDropout: IsNoop = (node, edit) => {
  const mask = node.outputs[1];
  const training = node.inputs[2];
  const unread = !mask || (edit.readers(mask).length === 0 && !edit.isOutput(mask));
  return unread && (!training || isAll(edit, training, 0));
};

const noops: Readonly<Record<string, IsNoop>> = {
  Identity: () => true,
  Dropout: isInferenceDropout,
  Cast: keepsType,
  CastLike: keepsType,
  Reshape: keepsShape,
  Expand: keepsShape,
  Tile: keepsShape,
  Pad: (node, edit) => isAll(edit, node.inputs[1], 0),
  Transpose: (node) => (node.attributes.perm as readonly number[] | undefined)?.every((axis, i) => axis === i) ?? false,
  Concat: (node) => node.inputs.length === 1,
  Slice: (node, edit) => keepsShape(node, edit) && (!node.inputs[4] || isAll(edit, node.inputs[4], 1)),
  Clip: (node) => !node.inputs[1] && !node.inputs[2],
  MaxPool: isUnitWindow,
  AveragePool: isUnitWindow,
  Mul: (node, edit) => isAll(edit, node.inputs[1], 1) && keepsShape(node, edit),
  Div: (node, edit) => isAll(edit, node.inputs[1], 1) && keepsShape(node, edit),
  Add: (node, edit) => isAll(edit, node.inputs[1], 0) && keepsShape(node, edit),
  Sub: (node, edit) => isAll(edit, node.inputs[1], 0) && keepsShape(node, edit),
};

/** Drops what does nothing: Identity, Dropout, Cast to the same type, Pad of nothing, Reshape to the same shape and their like. */
export const dropNoops: Rewrite = rewriteEach("drop-noops", Object.keys(noops), (node, edit) => {
  if (noops[node.op]!(node, edit)) edit.bypass(node, node.inputs[0]!);
});
