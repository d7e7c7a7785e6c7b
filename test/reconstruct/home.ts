import type { FloatKernels } from "../../src/engine/kernels.ts";
import type { Home, WeightGrid } from "../../src/reconstruct/parametrizations/types.ts";
import { Memory } from "../assembly/float/memory.ts";
import type { Golden } from "./golden.ts";

const memory = new Memory();

/** float.wasm with memory that is never given back. */
export const home: Home = {
  kernels: memory.kernels as FloatKernels,
  get f32() {
    return new Float32Array(memory.memory.buffer);
  },
  allocate: (bytes) => memory.allocate(bytes),
  release() {},
};

export const put = (values: Float32Array): number => memory.put(values);
export const take = (ptr: number, n: number): Float32Array => memory.floats(ptr, n);

/** Weights with codes 0 … most and one scale and zero point for each index of axis 0 (or one for all). */
export function gridOf(weight: Golden, scale: readonly number[], zero: readonly number[], most: number): WeightGrid {
  const rows = weight.s[0]!;
  const each = (list: readonly number[], r: number): number => list[list.length === 1 ? 0 : r]!;
  const row = (f: (r: number) => number): Float32Array => Float32Array.from({ length: rows }, (_, r) => f(r));
  return {
    rows,
    columns: weight.d.length / rows,
    values: Float32Array.from(weight.d),
    scale: row((r) => each(scale, r)),
    low: row((r) => -each(zero, r)),
    high: row((r) => most - each(zero, r)),
    zero: Int32Array.from({ length: rows }, (_, r) => each(zero, r)),
    taps: weight.s.slice(2).reduce((p, d) => p * d, 1),
    convolution: weight.s.length > 2,
    perTensor: scale.length === 1 && rows > 1,
  };
}
