// Gradient of MaxPool in float.wasm; that of AveragePool, which is linear, is its adjoint (movement.gradient.ts).
import type { FloatKernels } from "../engine/kernels.ts";
import type { GradientKernel } from "../engine/types.ts";
import { axesOf, shapeOf } from "./pool.forward.ts";
import { sizeOf } from "./strided.ts";

export const poolGradients: readonly GradientKernel<FloatKernels>[] = [
  {
    op: "MaxPool",
    layout: "channels-last",
    reads: [{ inputs: [0], outputs: [0] }],
    accepts: (node, [dims]) => (dims!.length === 3 || dims!.length === 4) && node.outputs.length === 1,
    backward({ kernels }, node, [x], [y], [dy], [dx]) {
      const [images, c] = x!.dims as [number, number];
      const [rows, columns] = axesOf(node, x!.dims, y!.dims);
      const shape = shapeOf(c, rows, columns);
      const [pixels, windows] = [rows.size * columns.size * c * 4, rows.out * columns.out * c * 4];
      kernels.fill(dx!.ptr, 0, sizeOf(dx!.dims));
      for (let i = 0; i < images; i++) {
        const [at, to] = [i * pixels, i * windows];
        kernels.maxPoolGradient(dx!.ptr + at, dy!.ptr + to, x!.ptr + at, y!.ptr + to, ...shape);
      }
    },
  },
];
