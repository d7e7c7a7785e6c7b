// The cases of TensorFlow Lite's golden vectors, and what every family of references needs of them.
import type { CodeRange } from "../../../src/ops/integer/requantize.ts";
import type { Factor, TfliteRounding } from "./int8.ts";

export type { Factor, TfliteRounding };

/** Row-major codes. */
export interface Codes {
  readonly type: string;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

// biome-ignore lint/suspicious/noExplicitAny: every operator has fields of its own
export type Case = Record<string, any>;

/** A reference: what the operator gives for a case, and what the vector says it must give. */
export interface Reference {
  readonly compute: (c: Case, rounding: TfliteRounding) => unknown;
  readonly expected: (c: Case) => unknown;
}

/** A case with tensors: the codes of its output. */
export const tensor = (compute: (c: Case, rounding: TfliteRounding) => ArrayLike<number>): Reference => ({
  compute: (c, rounding) => Array.from(compute(c, rounding)),
  expected: (c) => c.output.data,
});

/** A case of rows [...arguments, ...results]; `compute` gives the results, one or several. */
export const rows = (
  compute: (row: readonly number[], rounding: TfliteRounding) => number | readonly number[],
  results = 1,
): Reference => ({
  compute: (c, rounding) => c.rows.map((row: number[]) => [...row.slice(0, -results), compute(row, rounding)].flat()),
  expected: (c) => c.rows,
});

export const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Elements between neighbours along each axis. */
export const stridesOf = (shape: readonly number[]): number[] => shape.map((_, axis) => count(shape.slice(axis + 1)));

/** The coordinates of element i. */
export const coordinates = (i: number, shape: readonly number[]): number[] => {
  const strides = stridesOf(shape);
  return shape.map((n, axis) => Math.floor(i / strides[axis]!) % n);
};

/** For each element of `shape`, the element of `own` that broadcasting puts there. */
export function broadcast(own: readonly number[], shape: readonly number[]): number[] {
  const padded = [...new Array<number>(shape.length - own.length).fill(1), ...own];
  const strides = stridesOf(padded);
  return Array.from({ length: count(shape) }, (_, i) =>
    coordinates(i, shape).reduce((at, x, axis) => at + (padded[axis] === 1 ? 0 : x * strides[axis]!), 0),
  );
}

const limits: Readonly<Record<string, readonly [lo: number, hi: number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
};

/** All codes of the output's type, around a zero point. */
export function typeRange({ type }: Codes, zero: number): CodeRange {
  const [lo, hi] = limits[type]!;
  return { zero, lo, hi };
}

/** The fused activation's codes. */
export const activationRange = (c: Case): CodeRange => ({ zero: c.output_offset ?? 0, lo: c.activation_min, hi: c.activation_max });

export const factor = (c: Case, name: string, suffix = ""): Factor => ({
  multiplier: c[`${name}multiplier${suffix}`],
  shift: c[`${name}shift${suffix}`],
});

/** The input codes; cases without an input have every int8 code in order. */
export const inputCodes = (c: Case): readonly number[] => c.input?.data ?? Array.from({ length: 256 }, (_, i) => i - 128);
