// Reductions in float.wasm, over any axes of either layout.
import type { FloatKernels } from "../engine/kernels.ts";
import type { DeviceTensor, ForwardContext, ForwardKernel } from "../engine/types.ts";
import type { GraphNode, Tensor } from "../graph/types.ts";
import { axisOf, factOf, knownNumbers, number, numbersAttribute } from "./shape.ts";
import { copyStrided, physicalOrder, sizeOf, stridesOf } from "./strided.ts";

type Context = ForwardContext<FloatKernels>;
/** [outer, n, inner] → [outer, inner] */
export type Reduce = (kernels: FloatKernels, dst: number, src: number, outer: number, n: number, inner: number) => void;

export const sum: Reduce = (kernels, dst, src, outer, n, inner) => kernels.sum(dst, src, outer, n, inner, 1);
const mean: Reduce = (kernels, dst, src, outer, n, inner) => kernels.sum(dst, src, outer, n, inner, n);
const max: Reduce = (kernels, dst, src, outer, n, inner) => kernels.maximum(dst, src, outer, n, inner);
const min: Reduce = (kernels, dst, src, outer, n, inner) => kernels.minimum(dst, src, outer, n, inner);

/** Axes from input 1 or the attribute; undefined for a node that reduces nothing. */
export function axesOf(node: GraphNode, rank: number, constant: (name: string) => Tensor | undefined): readonly number[] | undefined {
  const tensor = node.inputs[1] ? constant(node.inputs[1]) : undefined;
  const given = tensor ? knownNumbers(factOf(tensor)) : numbersAttribute(node, "axes");
  if (given && given.length > 0) return given.map((axis) => axisOf(node, axis, rank));
  return number(node, "noop_with_empty_axes", 0) ? undefined : Array.from({ length: rank }, (_, axis) => axis);
}

/**
 * Reduces `axes` of x into y, whose sizes keep or drop them. In place where the reduced axes are neighbours in memory and the others
 * stand as y wants them (an average over the pixels of a channels-last image); else from a copy with the reduced axes last.
 */
export function reduceInto(context: Context, reducer: Reduce, x: DeviceTensor, y: DeviceTensor, axes: readonly number[]): void {
  const { kernels } = context;
  const reduced = new Set(axes);
  const physical = physicalOrder(x.dims.length, x.layout);
  const isReduced = physical.map((axis) => reduced.has(axis));
  const first = isReduced.indexOf(true);
  const last = isReduced.lastIndexOf(true);
  const kept = keptOrder(x, y, reduced);
  const asWanted = physical.filter((axis) => !reduced.has(axis)).every((axis, i) => axis === kept[i]);
  const size = (list: readonly number[]): number => sizeOf(list.map((axis) => x.dims[axis]!));
  const n = size([...reduced]);
  if (asWanted && !isReduced.slice(first, last).includes(false)) {
    reducer(kernels, y.ptr, x.ptr, size(physical.slice(0, first)), n, size(physical.slice(last + 1)));
    return;
  }
  const order = [...kept, ...physical.filter((axis) => reduced.has(axis))];
  const dims = order.map((axis) => x.dims[axis]!);
  const strides = stridesOf(x.dims, x.layout);
  const copy = context.scratch(sizeOf(dims) * 4);
  copyStrided(
    kernels,
    copy,
    x.ptr,
    dims,
    stridesOf(dims, "row-major"),
    order.map((axis) => strides[axis]!),
  );
  reducer(kernels, y.ptr, copy, size(kept), n, 1);
}

/** The axes of x that stay, from the slowest to the fastest in y. */
function keptOrder(x: DeviceTensor, y: DeviceTensor, reduced: ReadonlySet<number>): number[] {
  const keeps = y.dims.length === x.dims.length;
  const kept = x.dims.map((_, axis) => axis).filter((axis) => !reduced.has(axis));
  const inY = physicalOrder(y.dims.length, y.layout);
  return keeps ? inY.filter((axis) => !reduced.has(axis)) : inY.map((axis) => kept[axis]!);
}

function row(op: string, reducer: Reduce): ForwardKernel<FloatKernels> {
  return {
    op,
    layout: "any",
    accepts: (node, [dims], constant) => !dims!.includes(0) && axesOf(node, dims!.length, constant) !== undefined && known(node, constant),
    run(context, node, [x], [y]) {
      reduceInto(context, reducer, x!, y!, axesOf(node, x!.dims.length, context.constant)!);
    },
  };
}

const known = (node: GraphNode, constant: (name: string) => Tensor | undefined): boolean =>
  !node.inputs[1] || constant(node.inputs[1]) !== undefined;

/** Over all spatial axes. */
function pool(op: string, reducer: Reduce): ForwardKernel<FloatKernels> {
  return {
    op,
    layout: "any",
    accepts: (_, [dims]) => dims!.length >= 3 && !dims!.includes(0),
    run: (context, _, [x], [y]) => reduceInto(context, reducer, x!, y!, x!.dims.map((__, axis) => axis).slice(2)),
  };
}

export const reduceKernels: readonly ForwardKernel<FloatKernels>[] = [
  row("ReduceSum", sum),
  row("ReduceMean", mean),
  row("ReduceMax", max),
  row("ReduceMin", min),
  pool("GlobalAveragePool", mean),
  pool("GlobalMaxPool", max),
];
