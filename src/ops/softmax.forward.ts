import type { FloatKernels } from "../engine/kernels.ts";
import type { ForwardKernel } from "../engine/types.ts";
import { axisOf, number } from "./shape.ts";
import { copyStrided, sizeOf, stridesOf } from "./strided.ts";

/** Rows are dense in the kernel: another axis is moved to the end and back. */
function row(op: string, kernel: "softmax" | "logSoftmax"): ForwardKernel<FloatKernels> {
  return {
    op,
    layout: "any",
    accepts: (_, [dims]) => dims!.length > 0 && !dims!.includes(0),
    run(context, node, [x], [y]) {
      const { kernels } = context;
      const axis = axisOf(node, number(node, "axis", -1), x!.dims.length);
      const n = x!.dims[axis]!;
      const rows = sizeOf(x!.dims) / n;
      const strides = stridesOf(x!.dims, x!.layout);
      if (strides[axis] === 1) {
        kernels[kernel](y!.ptr, x!.ptr, rows, n);
        return;
      }
      const last = (list: readonly number[]): number[] => [...list.slice(0, axis), ...list.slice(axis + 1), list[axis]!];
      const dims = last(x!.dims);
      const dense = stridesOf(dims, "row-major");
      const from = context.scratch(rows * n * 4);
      const to = context.scratch(rows * n * 4);
      copyStrided(kernels, from, x!.ptr, dims, dense, last(strides));
      kernels[kernel](to, from, rows, n);
      copyStrided(kernels, y!.ptr, to, dims, last(stridesOf(y!.dims, y!.layout)), dense);
    },
  };
}

export const softmaxKernels: readonly ForwardKernel<FloatKernels>[] = [row("Softmax", "softmax"), row("LogSoftmax", "logSoftmax")];
