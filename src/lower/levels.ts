// Weights of few bits as the plan stores them: a table of levels and an index for each weight.
import { packCodes } from "../formats/packing.ts";

export interface PackedLevels {
  /** 1…4 */
  readonly bits: number;
  /** int8[2^bits], even steps where the values allow it: kernels multiply those without looking them up. */
  readonly levels: Int8Array;
  /** The bit stream of indices. */
  readonly stream: Uint8Array;
}

/** Undefined for weights of more than 16 different values. */
export function packLevels(weights: Int8Array): PackedLevels | undefined {
  const values = [...new Set(weights)].sort((a, b) => a - b);
  if (values.length === 0 || values.length > 16) return undefined;
  const bits = [1, 2, 3, 4].find((width) => values.length <= 1 << width)!;
  const count = 1 << bits;
  const [least, most] = [values[0]!, values.at(-1)!];
  // Even steps from the least value may not leave int8; where they would, they can as well end at the greatest.
  const first = Math.min(least, 128 - count);
  const even = most - first < count;
  const levels = Int8Array.from({ length: count }, (_, i) => (even ? first + i : values[Math.min(i, values.length - 1)]!));
  const index = new Map(values.map((value) => [value, levels.indexOf(value)]));
  return {
    bits,
    levels,
    stream: packCodes(
      Uint8Array.from(weights, (w) => index.get(w)!),
      bits,
    ),
  };
}
