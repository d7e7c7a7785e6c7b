import type { QuantizedWeight } from "../quantized/types.ts";

/** How often the codes of a format occur. */
export interface CodeHistogram {
  /** Least and greatest code of the format. */
  readonly lo: number;
  readonly hi: number;
  /** Codes a bin; bin i begins at lo + i · step. */
  readonly step: number;
  readonly counts: readonly number[];
}

/** How often each code occurs in a layer's weights. @param bins at most so many; formats of few codes have one each */
export function codeHistogram({ encoding: { levels }, codes }: QuantizedWeight, bins = 64): CodeHistogram {
  const lo = levels.kind === "linear" ? levels.lo : 0;
  const hi = levels.kind === "linear" ? levels.hi : levels.levels.length - 1;
  const step = Math.ceil((hi - lo + 1) / bins);
  const counts = new Array<number>(Math.floor((hi - lo) / step) + 1).fill(0);
  for (const code of codes) counts[Math.floor((code - lo) / step)]!++;
  return { lo, hi, step, counts };
}
