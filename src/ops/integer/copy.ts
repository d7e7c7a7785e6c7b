/** Index map of a strided copy, in elements. */
export interface StridedCopy {
  readonly dims: readonly number[];
  readonly inStrides: readonly number[];
  readonly inOffset: number;
  readonly outStrides: readonly number[];
  readonly outOffset: number;
}

/** out[outOffset + Σ i·outStride] = x[inOffset + Σ i·inStride] for every index i over dims. */
export function copyStrided(x: ArrayLike<number>, out: Int8Array | Int32Array, map: StridedCopy): void {
  const walk = (axis: number, from: number, to: number): void => {
    if (axis === map.dims.length) {
      out[to] = x[from]!;
      return;
    }
    for (let i = 0; i < map.dims[axis]!; i++) walk(axis + 1, from + i * map.inStrides[axis]!, to + i * map.outStrides[axis]!);
  };
  walk(0, map.inOffset, map.outOffset);
}
