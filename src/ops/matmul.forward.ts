// MatMul and Gemm in float.wasm: the right operand in panels, packed once where it is constant.
import type { FloatKernels } from "../engine/kernels.ts";
import type { DeviceTensor, ForwardContext, ForwardKernel } from "../engine/types.ts";
import type { GraphNode } from "../graph/types.ts";
import { runBinary } from "./binary.forward.ts";
import { noClamp } from "./conv.geometry.ts";
import { packed, padded } from "./packed.ts";
import { number } from "./shape.ts";

type Context = ForwardContext<FloatKernels>;

export const product = (sizes: readonly number[]): number => sizes.reduce((p, size) => p * size, 1);

/** The matrices of one operand of MatMul: rank-1 operands become a row or a column. */
export function matricesOf(dims: readonly number[], side: "left" | "right"): { batch: readonly number[]; rows: number; columns: number } {
  const [rows, columns] = dims.length > 1 ? dims.slice(-2) : side === "left" ? [1, dims[0]] : [dims[0], 1];
  return { batch: dims.slice(0, -2), rows: rows!, columns: columns! };
}

/** Number of the operand's matrix that matrix `index` of the broadcast batch reads. */
export function broadcastIndex(index: number, batch: readonly number[], own: readonly number[]): number {
  let from = 0;
  let step = 1;
  for (let a = batch.length - 1, b = own.length - 1; b >= 0; a--, b--) {
    const size = own[b]!;
    if (size > 1) from += (index % batch[a]!) * step;
    index = Math.floor(index / batch[a]!);
    step *= size;
  }
  return from;
}

function matMul(context: Context, node: GraphNode, left: DeviceTensor, right: DeviceTensor, output: DeviceTensor): void {
  const { kernels } = context;
  const { low, high } = noClamp;
  const a = matricesOf(left.dims, "left");
  const b = matricesOf(right.dims, "right");
  const [k, n] = [b.rows, b.columns];
  const panels = padded(n) * k;
  const matrices = product(b.batch);
  const from = packed(context, node, 1, "panels", matrices * panels, (ptr) => {
    for (let i = 0; i < matrices; i++) kernels.packRows(ptr + i * panels * 4, right.ptr + i * k * n * 4, k, n, n);
  });
  if (matrices === 1) {
    kernels.gemm(output.ptr, n, left.ptr, k, from, 0, product(a.batch) * a.rows, n, k, low, high);
    return;
  }
  const batch = broadcastBatch(a.batch, b.batch);
  for (let i = 0; i < product(batch); i++) {
    const x = left.ptr + broadcastIndex(i, batch, a.batch) * a.rows * k * 4;
    const panel = from + broadcastIndex(i, batch, b.batch) * panels * 4;
    kernels.gemm(output.ptr + i * a.rows * n * 4, n, x, k, panel, 0, a.rows, n, k, low, high);
  }
}

export function broadcastBatch(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => Math.max(a[a.length - rank + i] ?? 1, b[b.length - rank + i] ?? 1));
}

/** C is a scalar or one row: what the product kernel adds while it stores. */
const isRow = (c: readonly number[]): boolean => product(c) === 1 || product(c) === c.at(-1);

/** Y = α·A'·B' + β·C; α is multiplied into the panels of B, β into the bias. */
function gemm(context: Context, node: GraphNode, inputs: readonly (DeviceTensor | undefined)[], output: DeviceTensor): void {
  const [a, b, c] = inputs as [DeviceTensor, DeviceTensor, DeviceTensor | undefined];
  const { kernels } = context;
  const [m, n] = output.dims as [number, number];
  const transA = number(node, "transA", 0) !== 0;
  const k = a.dims[transA ? 0 : 1]!;
  const length = padded(n) * k;
  const panels = packed(context, node, 1, "panels", length, (ptr) => {
    if (number(node, "transB", 0)) kernels.packPanels(ptr, b.ptr, 1, 0, k, 1, 1, 0, n, k);
    else kernels.packRows(ptr, b.ptr, k, n, n);
    scale(context.f32.subarray(ptr / 4, ptr / 4 + length), number(node, "alpha", 1));
  });
  let rows = a.ptr;
  if (transA) {
    rows = context.scratch(m * k * 4);
    kernels.transpose(rows, a.ptr, k, m);
  }
  const bias = c && isRow(c.dims) ? biasOf(context, node, c, n) : 0;
  kernels.gemm(output.ptr, n, rows, k, panels, bias, m, n, k, noClamp.low, noClamp.high);
  if (c && !bias) runBinary(kernels, "add", output, output, scaled(context, node, c));
}

function scale(x: Float32Array, factor: number): void {
  if (factor !== 1) for (let i = 0; i < x.length; i++) x[i] = x[i]! * factor;
}

/** β·C over n columns, padded for the kernel. */
function biasOf(context: Context, node: GraphNode, c: DeviceTensor, n: number): number {
  return packed(context, node, 2, `bias of ${n}`, padded(n), (ptr) => {
    if (product(c.dims) === n) context.kernels.packRows(ptr, c.ptr, 1, n, n);
    else context.kernels.fill(ptr, context.f32[c.ptr / 4]!, n);
    scale(context.f32.subarray(ptr / 4, ptr / 4 + n), number(node, "beta", 1));
  });
}

/** β·C of any shape. */
function scaled(context: Context, node: GraphNode, c: DeviceTensor): DeviceTensor {
  const size = product(c.dims);
  const ptr = packed(context, node, 2, "addend", size, (to) => {
    context.kernels.copyBytes(to, c.ptr, size * 4);
    scale(context.f32.subarray(to / 4, to / 4 + size), number(node, "beta", 1));
  });
  return { ...c, ptr };
}

export const whole = (dims: readonly number[] | undefined): boolean =>
  dims !== undefined && dims.length > 0 && dims.every((size) => size > 0);

export const matrixKernels: readonly ForwardKernel<FloatKernels>[] = [
  {
    op: "MatMul",
    layout: "row-major",
    accepts: (_, dims) => whole(dims[0]) && whole(dims[1]),
    run: (context, node, [left, right], [output]) => matMul(context, node, left!, right!, output!),
  },
  {
    op: "Gemm",
    layout: "row-major",
    accepts: (_, dims) => whole(dims[0]) && whole(dims[1]),
    run: (context, node, inputs, outputs) => gemm(context, node, inputs, outputs[0]!),
  },
];
