// Where roundings start: between the two codes beside each weight, as far from the lower one as the weight is, or as other codes say.
import { divide32 } from "../../formats/rounding.ts";
import type { LearnerOptions, WeightGrid } from "./types.ts";

/** ⌊W/s⌋ and W/s − ⌊W/s⌋, the quotient in float32. */
export function split(w: number, s: number): { readonly base: number; readonly rest: number } {
  const quotient = divide32(w, s);
  const base = Math.floor(quotient);
  return { base, rest: quotient - base };
}

/** h at the start of a rounding that is taken over from other codes: likely, not settled. Of V = ±1.5 in the rectified sigmoid. */
const taken = { up: 0.88, down: 0.12 } as const;

export interface RoundingStart {
  /** The lower of the two codes, minus zero point. */
  readonly base: Float32Array;
  /** h */
  readonly rest: Float32Array;
  /** 0 where the rounding is learned, 1 where it stays down, 2 where it stays up. */
  readonly frozen: Uint8Array;
}

export function roundingStart(grid: WeightGrid, { start, subset = 1 }: LearnerOptions): RoundingStart {
  const { values, columns, zero } = grid;
  const n = values.length;
  const [base, rest, frozen] = [new Float32Array(n), new Float32Array(n), new Uint8Array(n)];
  for (let i = 0; i < n; i++) {
    const row = Math.floor(i / columns);
    const { base: floor, rest: fraction } = split(values[i]!, grid.scale[row]!);
    const level = start ? start.codes[i]! - zero[row]! : undefined;
    const up = level === undefined ? undefined : level > floor;
    base[i] = up === undefined ? floor : level! - (up ? 1 : 0);
    rest[i] = up === undefined ? fraction : up ? taken.up : taken.down;
  }
  if (subset < 1) {
    const distance = (i: number): number => Math.abs(rest[i]! - 0.5);
    const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => distance(a) - distance(b) || a - b);
    for (const i of order.slice(Math.round(subset * n))) frozen[i] = rest[i]! >= 0.5 ? 2 : 1;
  }
  return { base, rest, frozen };
}
