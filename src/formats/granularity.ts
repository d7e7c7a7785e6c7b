// Which elements of a row-major tensor share one scale.

import type { Granularity } from "./encoding.ts";

/** `count` elements at start, start + stride, …, all of scale `index`. */
export interface Run {
  readonly start: number;
  readonly count: number;
  readonly stride: number;
  readonly index: number;
}

const product = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

/** Sizes before, at and after an axis. */
function around(dims: readonly number[], axis: number): [outer: number, size: number, inner: number] {
  return [product(dims.slice(0, axis)), dims[axis]!, product(dims.slice(axis + 1))];
}

/** Number of scales of a tensor. */
export function scaleCount(dims: readonly number[], granularity: Granularity): number {
  if (granularity.kind === "tensor") return 1;
  const [outer, size, inner] = around(dims, granularity.axis);
  return granularity.kind === "channel" ? size : outer * Math.ceil(size / granularity.size) * inner;
}

/** All elements once, in runs of equal scale. A scale may have several runs (a channel whose axis is not the first). */
export function* runsOf(dims: readonly number[], granularity: Granularity): Generator<Run> {
  if (granularity.kind === "tensor") {
    yield { start: 0, count: product(dims), stride: 1, index: 0 };
    return;
  }
  const [outer, size, inner] = around(dims, granularity.axis);
  if (granularity.kind === "channel") {
    for (let o = 0; o < outer; o++) {
      for (let c = 0; c < size; c++) yield { start: (o * size + c) * inner, count: inner, stride: 1, index: c };
    }
    return;
  }
  const groups = Math.ceil(size / granularity.size);
  for (let o = 0; o < outer; o++) {
    for (let g = 0; g < groups; g++) {
      const first = g * granularity.size;
      const count = Math.min(granularity.size, size - first);
      for (let j = 0; j < inner; j++) {
        yield { start: (o * size + first) * inner + j, count, stride: inner, index: (o * groups + g) * inner + j };
      }
    }
  }
}
