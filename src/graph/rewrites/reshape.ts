// Flatten, Squeeze, Unsqueeze and Reshape say the same thing in four ways. One is enough: Reshape to a constant target.

import { isKnown } from "../dims.ts";
import { rewriteEach } from "../editor.ts";
import { int64s, numbersOf } from "../tensors.ts";
import type { Dim, GraphNode, Rewrite } from "../types.ts";

/**
 * The constant that Reshape needs to reach `dims`: sizes, and −1 for the one that has a symbol.
 * With several symbols, 0 copies those that stand where they stood.
 * @returns undefined when no constant says it
 */
export function reshapeTarget(from: readonly Dim[] | undefined, dims: readonly Dim[]): number[] | undefined {
  const open = dims.filter((dim) => !isKnown(dim)).length;
  if (open === 0) return dims as number[];
  if (dims.includes(0)) return undefined;
  if (open === 1) return dims.map((dim) => (isKnown(dim) ? dim : -1));
  const target = dims.map((dim, axis) => (isKnown(dim) ? dim : dim === from?.[axis] ? 0 : -1));
  return target.filter((size) => size === -1).length <= 1 ? target : undefined;
}

/** Every reshaping operator with an inferred shape becomes Reshape with a constant target and no attributes. */
export const canonicalReshape: Rewrite = rewriteEach("canonical-reshape", ["Reshape", "Flatten", "Squeeze", "Unsqueeze"], (node, edit) => {
  const [x = "", shape] = node.inputs;
  const from = edit.fact(x)?.dims;
  const dims = edit.fact(node.outputs[0])?.dims;
  const target = dims && reshapeTarget(from, dims);
  if (!target) return;
  const allowzero = target.includes(0) && dims.includes(0);
  const attributes: GraphNode["attributes"] = allowzero ? { allowzero: 1 } : {};
  const known = node.op === "Reshape" ? edit.constant(shape) : undefined;
  const settled =
    known && String(numbersOf(known)) === String(target) && Object.keys(node.attributes).length === Object.keys(attributes).length;
  if (settled) return;
  const name = edit.addConstant(known ? shape! : `${node.name}/shape`, int64s(target), node);
  edit.replace(node, { ...node, op: "Reshape", inputs: [x, name], attributes });
});

/** Of two Reshapes in a row the first is idle. */
export const mergeReshapes: Rewrite = rewriteEach("merge-reshapes", ["Reshape"], (node, edit) => {
  const first = edit.producer(node.inputs[0]);
  const target = edit.constant(node.inputs[1]);
  if (first?.op !== "Reshape" || !target || numbersOf(target).includes(0)) return;
  edit.replace(node, { ...node, inputs: [first.inputs[0]!, node.inputs[1]!] });
});

/** Of two Transposes in a row one is enough. */
export const mergeTransposes: Rewrite = rewriteEach("merge-transposes", ["Transpose"], (node, edit) => {
  const first = edit.producer(node.inputs[0]);
  const inner = first?.attributes.perm as readonly number[] | undefined;
  const outer = node.attributes.perm as readonly number[] | undefined;
  if (first?.op !== "Transpose" || !inner || !outer) return;
  edit.replace(node, { ...node, inputs: [first.inputs[0]!], attributes: { perm: outer.map((axis) => inner[axis]!) } });
});
