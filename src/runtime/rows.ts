import { logicalStrides } from "../plan/layout.ts";
import type { PlanValue } from "../plan/types.ts";

/** The logical elements of a value in order, a run along the last axis at a time. */
export interface Rows {
  readonly length: number;
  /** Elements of the buffer between neighbours of a run. */
  readonly stride: number;
  /** Calls `visit` with the first logical and the first physical index of every run. */
  each(visit: (logical: number, physical: number) => void): void;
}

export function rowsOf(value: PlanValue): Rows {
  const strides = logicalStrides(value);
  const outer = value.dims.slice(0, -1);
  const length = value.dims.at(-1) ?? 1;
  const walk = (axis: number, logical: number, physical: number, visit: (logical: number, physical: number) => void): number => {
    if (axis === outer.length) {
      visit(logical, physical);
      return logical + length;
    }
    let next = logical;
    for (let i = 0; i < outer[axis]!; i++) next = walk(axis + 1, next, physical + i * strides[axis]!, visit);
    return next;
  };
  return { length, stride: strides.at(-1) ?? 1, each: (visit) => void walk(0, 0, 0, visit) };
}
