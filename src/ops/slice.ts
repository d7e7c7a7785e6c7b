// Slice and Pad: each output axis reads its own positions of the input axis.
import { HalftoneError } from "../errors.ts";
import { addDims, areKnown, subtractDims } from "../graph/dims.ts";
import type { Dim, Fact, GraphNode } from "../graph/types.ts";
import { pick } from "./dtypes.ts";
import { identityMap, type Movement, movement, separable } from "./movement.ts";
import type { Operator } from "./operator.ts";
import {
  axisOf,
  concrete,
  sizesIn,
  fact,
  factOf,
  freshDim,
  freshDims,
  listIn,
  mismatch,
  mustBeOne,
  place,
  required,
  show,
  text,
} from "./shape.ts";

export type Range = { readonly start: number; readonly step: number; readonly length: number };

/** Start, end and step as NumPy reads them, clamped to a known size. */
export function rangeOf(size: number, start: number, end: number, step: number): Range {
  const clamp = (at: number, lo: number, hi: number): number => Math.min(Math.max(at < 0 ? at + size : at, lo), hi);
  const from = step > 0 ? clamp(start, 0, size) : clamp(start, -1, size - 1);
  const to = step > 0 ? clamp(end, 0, size) : clamp(end, -1, size - 1);
  return { start: from, step, length: Math.max(0, Math.ceil((to - from) / step)) };
}

/** What a slice with step 1 that runs to the end leaves of a symbolic size; undefined where only a run can tell. */
function symbolicLength(size: Dim, start: Dim | undefined, end: Dim | undefined, step: number | undefined): Dim | undefined {
  if (step !== 1 || typeof start !== "number" || start < 0 || end === undefined) return undefined;
  if (end === size || (typeof end === "number" && end >= 2 ** 31 - 1)) return subtractDims(size, start);
  return undefined;
}

/** Inputs: data, starts, ends, axes?, steps? */
const slice = movement("Slice", [3, 5], (node, x, inputs): Movement => {
  const { dims } = x;
  if (!dims) return { dims: undefined };
  const starts = sizesIn(node, required(node, inputs, 1));
  const ends = sizesIn(node, required(node, inputs, 2));
  const length = starts?.length ?? ends?.length;
  const axes = (inputs[3] ? listIn(node, inputs[3]) : length === undefined ? undefined : Array.from({ length }, (_, i) => i))?.map((a) =>
    axisOf(node, a, dims.length),
  );
  const steps = inputs[4] ? listIn(node, inputs[4]) : axes?.map(() => 1);
  if (!axes) return { dims: freshDims(node, dims.length) };
  if (
    new Set(axes).size !== axes.length ||
    steps?.includes(0) ||
    (steps && steps.length !== axes.length) ||
    (starts && starts.length !== axes.length) ||
    (ends && ends.length !== axes.length)
  )
    throw mismatch(node, `axes ${show(axes)} with steps ${show(steps)}`, "as many starts and ends as different axes, and no step of 0");
  const ranges = new Map<number, Range | undefined>();
  const out = dims.map((size, axis) => {
    const i = axes.indexOf(axis);
    if (i < 0) return size;
    const [start, end, step] = [starts?.[i], ends?.[i], steps?.[i]];
    if (typeof size === "number" && typeof start === "number" && typeof end === "number" && step !== undefined) {
      const range = rangeOf(size, start, end, step);
      ranges.set(axis, range);
      return range.length;
    }
    ranges.set(axis, undefined);
    return symbolicLength(size, start, end, step) ?? freshDim(node, axis);
  });
  if (!areKnown(dims) || [...ranges.values()].includes(undefined)) return { dims: out };
  const maps = dims.map((size, axis) => {
    const range = ranges.get(axis);
    return range ? Int32Array.from({ length: range.length }, (_, p) => range.start + p * range.step) : identityMap(size);
  });
  return { dims: out, source: () => separable(dims, maps) };
});

/** Which input position an output position shows, −1 for the constant; `at` counts from the input's start and may lie outside. */
const padModes: Readonly<Record<string, (at: number, size: number) => number>> = {
  constant: (at, size) => (at >= 0 && at < size ? at : -1),
  edge: (at, size) => Math.min(Math.max(at, 0), size - 1),
  reflect(at, size) {
    const period = Math.max(1, 2 * (size - 1));
    const p = ((at % period) + period) % period;
    return Math.min(p, period - p);
  },
  wrap: (at, size) => ((at % size) + size) % size,
};

function padMode(node: GraphNode): readonly [string, (at: number, size: number) => number] {
  const mode = text(node, "mode", "constant");
  const at = Object.hasOwn(padModes, mode) ? padModes[mode] : undefined;
  if (!at) throw new HalftoneError("ONNX_UNSUPPORTED_OP", place(node), `mode '${mode}'`, Object.keys(padModes).join(", "));
  return [mode, at];
}

/** Pads before and after each axis; undefined where unknown. Inputs: data, pads, value?, axes? */
export function padsOf(
  node: GraphNode,
  rank: number,
  inputs: readonly (Fact | undefined)[],
): readonly (readonly [number, number])[] | undefined {
  const pads = listIn(node, required(node, inputs, 1));
  const axes = inputs[3] ? listIn(node, inputs[3])?.map((a) => axisOf(node, a, rank)) : Array.from({ length: rank }, (_, a) => a);
  if (!pads || !axes) return undefined;
  if (pads.length !== 2 * axes.length) throw mismatch(node, `${pads.length} pads`, `${2 * axes.length}: before and after each axis`);
  return Array.from({ length: rank }, (_, a) => {
    const i = axes.indexOf(a);
    return i < 0 ? [0, 0] : [pads[i]!, pads[i + axes.length]!];
  });
}

const pad: Operator = {
  op: "Pad",
  arity: [2, 4],
  infer(node, inputs) {
    const x = required(node, inputs, 0);
    const dims = x.dims;
    if (!dims) return [fact(x.dtype, undefined)];
    padMode(node);
    mustBeOne(node, inputs[2]);
    const pads = padsOf(node, dims.length, inputs);
    const out = dims.map((size, a) => {
      const p = pads?.[a];
      return (p && addDims(size, p[0] + p[1])) ?? freshDim(node, a);
    });
    const bad = out.findIndex((size) => typeof size === "number" && size < 0);
    if (bad >= 0) throw mismatch(node, `pads ${show(pads?.[bad])} for ${show(dims)}`, "sizes of 0 and more");
    return [fact(x.dtype, out)];
  },
  reference(node, inputs) {
    const x = required(node, inputs, 0);
    const facts = inputs.map((t) => t && factOf(t));
    const dims = concrete(pad.infer(node, facts));
    const [mode, at] = padMode(node);
    const pads = padsOf(node, x.dims.length, facts)!;
    const empty = x.dims.findIndex((size, a) => size === 0 && dims[a]! > 0);
    if (mode !== "constant" && empty >= 0) throw mismatch(node, `nothing to repeat at axis ${empty}`, "at least one element");
    const maps = dims.map((size, a) => Int32Array.from({ length: size }, (_, p) => at(p - pads[a]![0], x.dims[a]!)));
    const index = separable(x.dims, maps);
    return [pick(x, dims, (i) => index[i]!, inputs[2])];
  },
};

export const sliceOperators: readonly Operator[] = [slice, pad];
