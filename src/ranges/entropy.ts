// Entropy calibration: the threshold at which the clipped distribution, told through few levels, loses least information.
// Source: NVIDIA's open histogram calibrator (pytorch-quantization, `_compute_amax_entropy`), with segment borders in integers.

import { log } from "../ops/math.ts";

/** Thresholds within this share of the least divergence count as equal; the last of them wins. */
const tie = 1e-12;

/**
 * Divergence KL(P‖Q) for each number of bins i = start … N that is kept. P is the histogram with the tail moved into bin i − 1; Q spreads
 * the kept bins' mass (tail not included) evenly over the non-empty bins of each of `levels` segments, bin j belonging to segment
 * ⌊j·levels/i⌋. Infinite where bin i − 1 is empty but a tail exists. Bin 0 is first replaced by bin 1, which damps the spike of zeros.
 *
 * Q is constant within a segment, so KL = (Σ ref·ln ref − Σ_segments mass(ref)·ln mean)/R − ln R + ln Σq needs prefix sums only:
 * O(N · levels) instead of O(N²).
 *
 * @param counts of |x| in N bins of equal width
 */
export function divergences(counts: Float64Array, levels: number, start: number): Float64Array {
  const bins = counts.length;
  const h = counts.slice();
  h[0] = h[1]!;
  const mass = prefix(h, (count) => count);
  const filled = prefix(h, (count) => (count > 0 ? 1 : 0));
  const selfInformation = prefix(h, xlogx);
  const total = mass[bins]!;
  const result = new Float64Array(bins - start + 1).fill(Infinity);
  for (let i = start; i <= bins; i++) {
    const kept = mass[i]!;
    const tail = total - kept;
    const last = h[i - 1]!;
    if (kept === 0 || (last === 0 && tail > 0)) continue;
    let told = 0;
    for (let segment = 0; segment < levels; segment++) {
      const from = Math.ceil((segment * i) / levels);
      const to = Math.ceil(((segment + 1) * i) / levels);
      const members = filled[to]! - filled[from]!;
      if (members === 0) continue;
      const own = mass[to]! - mass[from]!;
      told += (to === i ? own + tail : own) * log(own / members);
    }
    const information = selfInformation[i]! - xlogx(last) + xlogx(last + tail);
    result[i - start] = (information - told) / total - log(total) + log(kept);
  }
  return result;
}

/**
 * How many bins to keep: the last i of least divergence, or all of them when no i is possible.
 *
 * @param levels codes for |x|: 2^(bits−1) of signed values, 2^bits of unsigned ones
 * @param start  fewest bins to keep
 */
export function entropyBins(counts: Float64Array, levels: number, start: number): number {
  const found = divergences(counts, levels, start);
  let best = Infinity;
  let at = counts.length;
  found.forEach((divergence, i) => {
    if (divergence === Infinity || divergence > best + tie * Math.abs(best)) return;
    best = Math.min(best, divergence);
    at = start + i;
  });
  return at;
}

function xlogx(x: number): number {
  return x > 0 ? x * log(x) : 0;
}

/** sums[i] = Σ_{j<i} of(values[j]) */
function prefix(values: Float64Array, of: (value: number) => number): Float64Array {
  const sums = new Float64Array(values.length + 1);
  for (let i = 0; i < values.length; i++) sums[i + 1] = sums[i]! + of(values[i]!);
  return sums;
}
