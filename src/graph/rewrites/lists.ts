// Constant lists of sizes and axes that come as inputs (Slice, Pad, Reduce…) in one spelling.

import { isKnown } from "../dims.ts";
import { type Editor, rewriteEach } from "../editor.ts";
import { int64s, numbersOf } from "../tensors.ts";
import type { Dim, GraphNode, Rewrite } from "../types.ts";

const toEnd = Number.MAX_SAFE_INTEGER;

/** The numbers behind a constant input, `absent` without one, undefined when only a run can tell. */
function listOf(edit: Editor, name: string | undefined, absent?: readonly number[]): readonly number[] | undefined {
  if (!name) return absent;
  const tensor = edit.constant(name);
  return tensor && numbersOf(tensor);
}

type Lists = readonly (readonly [string, readonly number[]])[];

/** Gives the node the input `x`, constants of these lists, and `rest`; leaves it when it has them already. */
function setInputs(node: GraphNode, x: string, lists: Lists, edit: Editor, rest: readonly string[] = []): void {
  const holds = (i: number, values: readonly number[]): boolean => String(listOf(edit, node.inputs[i + 1])) === String(values);
  const settled = lists.every(([, values], i) => holds(i, values)) && node.inputs[0] === x;
  if (settled && node.inputs.length === 1 + lists.length + rest.length) return;
  const names = lists.map(([role, values], i) =>
    holds(i, values) ? node.inputs[i + 1]! : edit.addConstant(node.inputs[i + 1] || `${node.name}/${role}`, int64s(values), node),
  );
  edit.replace(node, { ...node, inputs: [x, ...names, ...rest] });
}

interface Range {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** Start and end within the axis, as Slice reads them. Known sizes only. */
function clampRange({ axis, start, end, step }: Range, size: Dim): Range {
  if (!isKnown(size)) return { axis, start, end: end >= toEnd || end >= 0x7fffffff ? toEnd : end, step };
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
  const clamp = (x: number): number => Math.min(Math.max(x < 0 ? x + size : x, low), high);
  const from = clamp(start);
  const to = clamp(end);
  // "Before element 0" has no number of its own: −1 would be the last element.
  return { axis, start: step > 0 ? from : Math.max(from, 0), end: to < 0 ? -toEnd : to, step };
}

function rangesOf(node: GraphNode, edit: Editor): Range[] | undefined {
  const dims = edit.fact(node.inputs[0])?.dims;
  const starts = listOf(edit, node.inputs[1]);
  const ends = listOf(edit, node.inputs[2]);
  if (!dims || !starts || !ends) return undefined;
  const axes = listOf(
    edit,
    node.inputs[3],
    starts.map((_, i) => i),
  );
  const steps = listOf(
    edit,
    node.inputs[4],
    starts.map(() => 1),
  );
  if (!axes || !steps) return undefined;
  const ranges = axes.map((axis, i): Range => {
    const positive = axis < 0 ? axis + dims.length : axis;
    return clampRange({ axis: positive, start: starts[i]!, end: ends[i]!, step: steps[i]! }, dims[positive]!);
  });
  const isWhole = ({ axis, start, end, step }: Range): boolean => step === 1 && start === 0 && (end === toEnd || end === dims[axis]);
  return ranges.filter((range) => !isWhole(range)).sort((a, b) => a.axis - b.axis);
}

function setRanges(node: GraphNode, x: string, ranges: readonly Range[], edit: Editor): void {
  const column = (name: keyof Range): number[] => ranges.map((range) => range[name]);
  const lists: Lists = [
    ["starts", column("start")],
    ["ends", column("end")],
    ["axes", column("axis")],
    ["steps", column("step")],
  ];
  setInputs(node, x, lists, edit);
}

/** Slice with starts, ends, axes and steps in numbers: axes ascending, whole axes left out; slices of other axes in a row become one. */
export const canonicalSlice: Rewrite = rewriteEach("canonical-slice", ["Slice"], (node, edit) => {
  const x = node.inputs[0]!;
  const ranges = rangesOf(node, edit);
  if (!ranges || (ranges.length === 0 && edit.bypass(node, x))) return;
  const first = edit.ownProducer(x, "Slice");
  const inner = first && rangesOf(first, edit);
  if (first && inner?.every(({ axis }) => ranges.every((range) => range.axis !== axis))) {
    setRanges(
      node,
      first.inputs[0]!,
      [...inner, ...ranges].sort((a, b) => a.axis - b.axis),
      edit,
    );
  } else if (ranges.length > 0) {
    setRanges(node, x, ranges, edit);
  }
});

/** Pads of every axis, begins then ends, in numbers; undefined where only a run can tell. */
export function padsOf(node: GraphNode, edit: Editor): readonly number[] | undefined {
  const rank = edit.fact(node.inputs[0])?.dims?.length;
  const pads = listOf(edit, node.inputs[1]);
  if (rank === undefined || !pads) return undefined;
  const axes = listOf(
    edit,
    node.inputs[3],
    Array.from({ length: rank }, (_, axis) => axis),
  );
  if (!axes || pads.length !== 2 * axes.length) return undefined;
  const all = new Array<number>(2 * rank).fill(0);
  for (const [i, axis] of axes.entries()) {
    const positive = axis < 0 ? axis + rank : axis;
    all[positive] = pads[i]!;
    all[positive + rank] = pads[i + axes.length]!;
  }
  return all;
}

/** The constant that Pad fills with; undefined where only a run can tell. */
export function padValue(node: GraphNode, edit: Editor): number | undefined {
  return node.inputs[2] ? listOf(edit, node.inputs[2])?.[0] : 0;
}

/** Pad with a row for every axis, and a value only where it is not 0. */
export const canonicalPad: Rewrite = rewriteEach("canonical-pad", ["Pad"], (node, edit) => {
  const pads = padsOf(node, edit);
  const value = padValue(node, edit);
  if (!pads) return;
  setInputs(node, node.inputs[0]!, [["pads", pads]], edit, value === 0 || !node.inputs[2] ? [] : [node.inputs[2]]);
});

/** Reductions over axes in numbers, ascending from 0; no axes means all of them. */
export const canonicalReduce: Rewrite = rewriteEach(
  "canonical-reduce",
  ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"],
  (node, edit) => {
    const axes = reducedAxes(node, edit);
    if (!axes) return;
    if (axes.length === 0) {
      if (node.op !== "ReduceSum") edit.bypass(node, node.inputs[0]!);
      return;
    }
    setInputs(node, node.inputs[0]!, [["axes", axes]], edit);
  },
);

/** Axes that a reduction sums over, ascending from 0; undefined where only a run can tell. */
export function reducedAxes(node: GraphNode, edit: Editor): readonly number[] | undefined {
  const rank = edit.fact(node.inputs[0])?.dims?.length;
  const axes = listOf(edit, node.inputs[1], []);
  if (rank === undefined || !axes) return undefined;
  if (axes.length === 0) return node.attributes.noop_with_empty_axes ? [] : Array.from({ length: rank }, (_, axis) => axis);
  return axes.map((axis) => (axis < 0 ? axis + rank : axis)).sort((a, b) => a - b);
}
