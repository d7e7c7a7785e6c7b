// Clamps in one form: Relu for [0, ∞), Clip with scalar bounds for the rest, and never two in a row.

import { type Editor, rewriteEach } from "../editor.ts";
import { float32 } from "../tensors.ts";
import type { GraphNode, Rewrite } from "../types.ts";

interface Bounds {
  readonly min: number;
  readonly max: number;
}

const open: Bounds = { min: Number.NEGATIVE_INFINITY, max: Number.POSITIVE_INFINITY };

/** The scalar behind a constant, `absent` without one, undefined when it is neither a constant nor a scalar. */
function scalarOf(edit: Editor, name: string | undefined, absent: number): number | undefined {
  if (!name) return absent;
  const tensor = edit.constant(name);
  return tensor?.data.length === 1 && tensor.dtype === "float32" ? Number(tensor.data[0]) : undefined;
}

/** What interval a node clamps its first input to; undefined when it is no clamp by scalars. */
function boundsOf(node: GraphNode | undefined, edit: Editor): Bounds | undefined {
  if (node?.op === "Relu") return { min: 0, max: open.max };
  if (node?.op === "Clip") {
    const min = scalarOf(edit, node.inputs[1], open.min);
    const max = scalarOf(edit, node.inputs[2], open.max);
    return min === undefined || max === undefined || min > max ? undefined : { min, max };
  }
  if ((node?.op !== "Max" && node?.op !== "Min") || node.inputs.length !== 2) return undefined;
  const bound = edit.constant(node.inputs[1])?.dims.length === 0 || edit.constant(node.inputs[1])?.data.length === 1;
  const value = bound ? scalarOf(edit, node.inputs[1], 0) : undefined;
  if (value === undefined || edit.fact(node.inputs[0])?.dims?.length !== edit.fact(node.outputs[0])?.dims?.length) return undefined;
  return node.op === "Max" ? { min: value, max: open.max } : { min: open.min, max: value };
}

/** The clamp after another: first to a, then to b. */
function then(a: Bounds, b: Bounds): Bounds {
  const clamp = (x: number): number => Math.min(Math.max(x, b.min), b.max);
  return { min: clamp(a.min), max: clamp(a.max) };
}

/** Relu, Clip, Max and Min by constants in canonical form; a clamp of a clamp that nobody else reads becomes one. float32 only. */
export const mergeClamps: Rewrite = rewriteEach("merge-clamps", ["Relu", "Clip", "Max", "Min"], (node, edit) => {
  const bounds = boundsOf(node, edit);
  if (!bounds || edit.fact(node.inputs[0])?.dtype !== "float32") return;
  const before = edit.ownProducer(node.inputs[0], "Relu", "Clip", "Max", "Min");
  const inner = boundsOf(before, edit);
  const merged = before && inner ? then(inner, bounds) : bounds;
  setClamp(node, before && inner ? before.inputs[0]! : node.inputs[0]!, merged, edit);
});

function setClamp(node: GraphNode, x: string, { min, max }: Bounds, edit: Editor): void {
  const isRelu = min === 0 && max === open.max;
  const settled = isRelu
    ? node.op === "Relu"
    : node.op === "Clip" && isScalar(edit, node.inputs[1], min, open.min) && isScalar(edit, node.inputs[2], max, open.max);
  if (settled && node.inputs[0] === x) return;
  const bound = (role: string, value: number, absent: number): string =>
    value === absent ? "" : edit.addConstant(`${node.name}/${role}`, float32([], [value]));
  const inputs = isRelu ? [x] : [x, bound("min", min, open.min), bound("max", max, open.max)];
  edit.replace(node, { ...node, op: isRelu ? "Relu" : "Clip", inputs, attributes: {} });
}

function isScalar(edit: Editor, name: string | undefined, value: number, absent: number): boolean {
  if (!name) return value === absent;
  const tensor = edit.constant(name);
  return value !== absent && tensor?.dims.length === 0 && tensor.data[0] === value;
}
