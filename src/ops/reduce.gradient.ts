// Gradients of reductions in float.wasm: a sum's is spread over what was summed, an extreme's goes to the first element that is it.
import type { FloatKernels } from "../engine/kernels.ts";
import type { DeviceTensor, ForwardContext, GradientKernel } from "../engine/types.ts";
import type { GraphNode } from "../graph/types.ts";
import { axesOf } from "./reduce.forward.ts";
import { copyStrided, sizeOf, stridesOf } from "./strided.ts";

type Context = ForwardContext<FloatKernels>;
type Row = GradientKernel<FloatKernels>;
type Axes = (context: Pick<Context, "constant">, node: GraphNode, rank: number) => readonly number[] | undefined;

const given: Axes = ({ constant }, node, rank) => (!node.inputs[1] || constant(node.inputs[1]) ? axesOf(node, rank, constant) : undefined);
const spatial: Axes = (_, __, rank) => Array.from({ length: rank - 2 }, (___, i) => i + 2);

/** Strides with which y, whose sizes keep or drop the reduced axes, reads as an operand of x's sizes. */
function spreadStrides(x: readonly number[], y: DeviceTensor, axes: readonly number[]): number[] {
  const strides = stridesOf(y.dims, y.layout);
  const keeps = y.dims.length === x.length;
  let next = 0;
  return x.map((_, axis) => {
    if (axes.includes(axis)) return 0;
    return strides[keeps ? axis : next++]!;
  });
}

function sum(op: string, axes: Axes, mean: boolean): Row {
  return {
    op,
    layout: "any",
    reads: [{}],
    accepts: (node, [x], constant) => axes({ constant }, node, x!.length) !== undefined && !x!.includes(0),
    backward(context, node, _, __, [dy], [dx]) {
      const { kernels } = context;
      const over = axes(context, node, dx!.dims.length)!;
      const n = sizeOf(over.map((axis) => dx!.dims[axis]!));
      let from = dy!.ptr;
      if (mean) {
        from = context.scratch(sizeOf(dy!.dims) * 4);
        kernels.scale(from, dy!.ptr, sizeOf(dy!.dims), 1 / n);
      }
      copyStrided(kernels, dx!.ptr, from, dx!.dims, stridesOf(dx!.dims, dx!.layout), spreadStrides(dx!.dims, dy!, over));
    },
  };
}

/** Works on copies with the reduced axes last. */
function extreme(op: string, axes: Axes): Row {
  return {
    op,
    layout: "any",
    reads: [{ inputs: [0], outputs: [0] }],
    accepts: (node, [x], constant) => axes({ constant }, node, x!.length) !== undefined && !x!.includes(0),
    backward(context, node, [x], [y], [dy], [dx]) {
      const { kernels } = context;
      const { dims } = x!;
      const over = axes(context, node, dims.length)!;
      const order = [...dims.keys()].filter((axis) => !over.includes(axis)).concat(over);
      const reorder = (list: readonly number[]): number[] => order.map((axis) => list[axis]!);
      const [sizes, count] = [reorder(dims), sizeOf(y!.dims)];
      const n = sizeOf(dims) / count;
      const dense = stridesOf(sizes, "row-major");
      const kept = sizes.map((size, i) => (i < sizes.length - over.length ? size : 1));
      const inOrder = (value: DeviceTensor): number => {
        const ptr = context.scratch(count * 4);
        copyStrided(kernels, ptr, value.ptr, kept, stridesOf(kept, "row-major"), reorder(spreadStrides(dims, value, over)));
        return ptr;
      };
      const [from, to] = [context.scratch(count * n * 4), context.scratch(count * n * 4)];
      const strides = reorder(stridesOf(dims, x!.layout));
      copyStrided(kernels, from, x!.ptr, sizes, dense, strides);
      kernels.extremeGradient(to, inOrder(dy!), from, inOrder(y!), count, n, 1);
      copyStrided(kernels, dx!.ptr, to, sizes, reorder(stridesOf(dims, dx!.layout)), dense);
    },
  };
}

export const reduceGradients: readonly Row[] = [
  sum("ReduceSum", given, false),
  sum("ReduceMean", given, true),
  sum("GlobalAveragePool", spatial, true),
  extreme("ReduceMax", given),
  extreme("ReduceMin", given),
  extreme("GlobalMaxPool", spatial),
];
