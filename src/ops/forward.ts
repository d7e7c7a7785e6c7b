import type { FloatKernels } from "../engine/kernels.ts";
import type { ForwardKernel } from "../engine/types.ts";

const rows: readonly ForwardKernel<FloatKernels>[] = [];

/** The float.wasm implementation of each operator that has one; all others run their reference. */
export const forwardKernels: ReadonlyMap<string, ForwardKernel<FloatKernels>> = new Map(rows.map((row) => [row.op, row]));
