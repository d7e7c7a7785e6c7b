import { logicalStrides } from "../plan/layout.ts";
import type { PlanValue } from "../plan/types.ts";

/** The logical elements of a value in order, a run of evenly spaced ones at a time. */
export interface Rows {
  readonly length: number;
  /** Elements of the buffer between neighbours of a run. */
  readonly stride: number;
  /** Calls `visit` with the first logical and the first physical index of every run. */
  each(visit: (logical: number, physical: number) => void): void;
}

/** Runs are as long as the layout allows: those of planes stored with channels last are whole planes. @param apart leading axes that no run spans */
export function rowsOf(value: PlanValue, apart = 0): Rows {
  const strides = logicalStrides(value);
  let inner = Math.max(0, value.dims.length - 1);
  let length = value.dims[inner] ?? 1;
  const stride = strides[inner] ?? 1;
  while (inner > apart && strides[inner - 1] === length * stride) length *= value.dims[--inner]!;
  const outer = value.dims.slice(0, inner);
  const walk = (axis: number, logical: number, physical: number, visit: (logical: number, physical: number) => void): number => {
    if (axis === outer.length) {
      visit(logical, physical);
      return logical + length;
    }
    let next = logical;
    for (let i = 0; i < outer[axis]!; i++) next = walk(axis + 1, next, physical + i * strides[axis]!, visit);
    return next;
  };
  return { length, stride, each: (visit) => void walk(0, 0, 0, visit) };
}

/** to[toFirst + i · toStride] = from[fromFirst + i · fromStride] for `length` elements. A function of its own, so that engines optimise its loop. */
export function copyRun(
  from: Int8Array | Int32Array,
  fromFirst: number,
  fromStride: number,
  to: Int8Array | Int32Array,
  toFirst: number,
  toStride: number,
  length: number,
): void {
  if (fromStride === 1 && toStride === 1) to.set(from.subarray(fromFirst, fromFirst + length), toFirst);
  else for (let i = 0; i < length; i++) to[toFirst + i * toStride] = from[fromFirst + i * fromStride]!;
}
