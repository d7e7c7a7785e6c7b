import type { FloatKernels } from "../engine/kernels.ts";
import type { DeviceTensor, GradientKernel } from "../engine/types.ts";
import { axisOf, number } from "./shape.ts";
import { copyStrided, sizeOf, stridesOf } from "./strided.ts";

/** Rows are dense in the kernel: another axis is moved to the end and back. */
function row(op: string, kernel: "softmaxGradient" | "logSoftmaxGradient"): GradientKernel<FloatKernels> {
  return {
    op,
    layout: "any",
    reads: [{ outputs: [0] }],
    accepts: (_, [dims]) => dims!.length > 0 && !dims!.includes(0),
    backward(context, node, _, [y], [dy], [dx]) {
      const { kernels } = context;
      const { dims, layout } = y!;
      const axis = axisOf(node, number(node, "axis", -1), dims.length);
      const n = dims[axis]!;
      const rows = sizeOf(dims) / n;
      const strides = stridesOf(dims, layout);
      if (strides[axis] === 1) {
        kernels[kernel](dx!.ptr, dy!.ptr, y!.ptr, rows, n);
        return;
      }
      const last = (list: readonly number[]): number[] => [...list.slice(0, axis), ...list.slice(axis + 1), list[axis]!];
      const sizes = last(dims);
      const dense = stridesOf(sizes, "row-major");
      const moved = ({ ptr }: DeviceTensor): number => {
        const to = context.scratch(rows * n * 4);
        copyStrided(kernels, to, ptr, sizes, dense, last(strides));
        return to;
      };
      const g = moved(dy!);
      kernels[kernel](g, g, moved(y!), rows, n);
      copyStrided(kernels, dx!.ptr, g, sizes, last(strides), dense);
    },
  };
}

export const softmaxGradients: readonly GradientKernel<FloatKernels>[] = [
  row("Softmax", "softmaxGradient"),
  row("LogSoftmax", "logSoftmaxGradient"),
];
