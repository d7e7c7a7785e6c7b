// MaxPool and AveragePool of [N, C, L] and [N, C, H, W] in float.wasm, image by image in channels-last order.
import type { FloatKernels } from "../engine/kernels.ts";
import type { DeviceTensor, ForwardKernel } from "../engine/types.ts";
import type { GraphNode } from "../graph/types.ts";
import { number, numbersAttribute } from "./shape.ts";
import { paddingOf, windowOf } from "./windows.ts";

export interface Axis {
  readonly size: number;
  readonly out: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
  readonly after: number;
}

/** A missing row axis: one row, looked at once. */
const oneRow: Axis = { size: 1, out: 1, kernel: 1, stride: 1, dilation: 1, before: 0, after: 0 };

/** Rows and columns of a pool. */
export function axesOf(node: GraphNode, x: readonly number[], y: readonly number[]): [Axis, Axis] {
  const window = windowOf(node, numbersAttribute(node, "kernel_shape")!);
  const axes = window.kernel.map((kernel, i): Axis => {
    const size = x[i + 2]!;
    const [before, after] = paddingOf(window, size, i);
    return { size, out: y[i + 2]!, kernel, stride: window.strides[i]!, dilation: window.dilations[i]!, before, after };
  });
  return axes.length === 1 ? [oneRow, axes[0]!] : [axes[0]!, axes[1]!];
}

export type Shape = readonly [
  h: number,
  w: number,
  c: number,
  oh: number,
  ow: number,
  kh: number,
  kw: number,
  sh: number,
  sw: number,
  ph: number,
  pw: number,
  dh: number,
  dw: number,
];

export function shapeOf(c: number, r: Axis, s: Axis): Shape {
  return [r.size, s.size, c, r.out, s.out, r.kernel, s.kernel, r.stride, s.stride, r.before, s.before, r.dilation, s.dilation];
}

type Pool = (kernels: FloatKernels, node: GraphNode, dst: number, src: number, shape: Shape, rows: Axis, columns: Axis) => void;

const max: Pool = (kernels, _, dst, src, shape) => kernels.maxPool(dst, src, ...shape);

const average: Pool = (kernels, node, dst, src, shape, rows, columns) =>
  kernels.averagePool(dst, src, ...shape, rows.after, columns.after, number(node, "count_include_pad", 0));

function run(pool: Pool, kernels: FloatKernels, node: GraphNode, x: DeviceTensor, y: DeviceTensor): void {
  const [images, c] = x.dims as [number, number];
  const [r, s] = axesOf(node, x.dims, y.dims);
  const shape = shapeOf(c, r, s);
  for (let i = 0; i < images; i++) {
    pool(kernels, node, y.ptr + i * r.out * s.out * c * 4, x.ptr + i * r.size * s.size * c * 4, shape, r, s);
  }
}

function row(op: string, pool: Pool): ForwardKernel<FloatKernels> {
  return {
    op,
    layout: "channels-last",
    accepts: (node, [dims]) => (dims!.length === 3 || dims!.length === 4) && node.outputs.length === 1,
    run: ({ kernels }, node, [x], [y]) => run(pool, kernels, node, x!, y!),
  };
}

export const poolKernels: readonly ForwardKernel<FloatKernels>[] = [row("MaxPool", max), row("AveragePool", average)];
