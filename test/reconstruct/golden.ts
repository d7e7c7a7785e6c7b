// Reading golden files: a tensor is {s: shape, d: values}; `out` is a float64 run, `out32` the same in float32.
import { readFileSync } from "node:fs";
import { expect } from "vitest";

export interface Golden {
  readonly s: readonly number[];
  readonly d: readonly number[];
}

// biome-ignore lint/suspicious/noExplicitAny: the files hold numbers and tensors under names of their own
export type Fields = Record<string, any>;

export interface Case {
  readonly name: string;
  readonly in: Fields;
  readonly out: Fields;
  readonly out32: Fields;
}

export function read(name: string): Fields {
  return JSON.parse(readFileSync(new URL(`../golden/${name}.json`, import.meta.url), "utf8"));
}

export function cases(name: string): (pattern: RegExp) => readonly Case[] {
  const all = read(name).cases as Case[];
  return (pattern) => all.filter((each) => pattern.test(each.name));
}

/** Each value within rel·|expected| + abs. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, rel = 1e-9, abs = 1e-12): void {
  expect(actual.length).toBe(expected.length);
  let worst = 0;
  let at = 0;
  for (let i = 0; i < expected.length; i++) {
    const excess = Math.abs(actual[i]! - expected[i]!) - rel * Math.abs(expected[i]!) - abs;
    if (!(excess <= worst)) [worst, at] = [Number.isNaN(excess) ? Number.POSITIVE_INFINITY : excess, i];
  }
  if (worst > 0) expect.fail(`element ${at} is ${actual[at]}, expected ${expected[at]}`);
}

/** Tolerances of float32 runs. */
export const single = { value: [5e-5, 5e-6], parameter: [0, 5e-5] } as const;
