// Codes of the 8- and 4-bit floats ⇄ their values.
import type { DType } from "../graph/types.ts";
import { type Minifloat, minifloats } from "../ops/minifloat.ts";
import { powerOfTwo } from "../ops/rounding.ts";

export interface Codes {
  read(code: number): number;
  /** The code of a value that the format holds. */
  write(value: number): number;
}

function valueOfCode({ bits, mantissa, emin, special }: Minifloat, code: number): number {
  const sign = code >> (bits - 1) ? -1 : 1;
  const magnitude = code & ((1 << (bits - 1)) - 1);
  const [field, fraction] = [magnitude >> mantissa, magnitude & ((1 << mantissa) - 1)];
  const full = (1 << (bits - 1 - mantissa)) - 1;
  if (special === "ieee" && field === full) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (special === "last" && magnitude === (1 << (bits - 1)) - 1) return Number.NaN;
  if (special === "negative-zero" && sign < 0 && magnitude === 0) return Number.NaN;
  return sign * (field === 0 ? fraction : fraction + (1 << mantissa)) * powerOfTwo(Math.max(field, 1) - 1 + emin - mantissa);
}

function codesOf(values: readonly number[]): Codes {
  const nan = values.findIndex(Number.isNaN);
  const negativeZero = values.findIndex((value) => Object.is(value, -0));
  const byValue = new Map(values.map((value, code) => [value, code] as const).reverse());
  return {
    read: (code) => values[code]!,
    write: (value) => (Number.isNaN(value) ? nan : Object.is(value, -0) ? negativeZero : (byValue.get(value) ?? 0)),
  };
}

const list = (bits: number, f: (code: number) => number): number[] => Array.from({ length: 1 << bits }, (_, code) => f(code));

/** E8M0: code c is 2^(c − 127), the last one NaN. */
const scale = codesOf(list(8, (code) => (code === 255 ? Number.NaN : powerOfTwo(code - 127))));

export const minifloatCodes: ReadonlyMap<DType, Codes> = new Map<DType, Codes>([
  ...[...minifloats].map(([dtype, format]) => [dtype, codesOf(list(format.bits, (code) => valueOfCode(format, code)))] as const),
  ["float8e8m0", scale],
]);
