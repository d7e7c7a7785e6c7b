// The one statistic that every range rule reads: a log-linear histogram over float32 bit patterns. All of its state is integers,
// so that any cut of the samples into slices and any order of merging give the same bytes.

import { assert } from "../errors.ts";
import { VarintReader, VarintWriter } from "./varint.ts";

/** Buckets per octave and sign: 7 mantissa bits. A bucket spans 2⁻⁷ of its octave. */
export const bucketsPerOctave = 128;
/** Octaves of both signs, u >> 23 of a float32's bits u; those of NaN and infinity are 255 and 511. */
export const octaves = 512;
const negativeOctaves = 256;
const badOctave = 255;

/** 2³⁷ */
const mostValues = 137_438_953_472;
const formatVersion = 1;
const writer = new VarintWriter();
const pageLength = 2 * bucketsPerOctave;

const scratch = new Float32Array(1);
const patterns = new Uint32Array(scratch.buffer);

function bitsOf(x: number): number {
  scratch[0] = x;
  return patterns[0]!;
}

function floatOf(bits: number): number {
  patterns[0] = bits;
  return scratch[0]!;
}

/** A non-empty bucket: magnitudes from `least` up to but without `end`, of which there are `count`, `mean` on average (exact). */
export interface Bucket {
  readonly negative: boolean;
  /** Exponent and first 7 mantissa bits. */
  readonly key: number;
  readonly count: number;
  readonly least: number;
  readonly end: number;
  readonly mean: number;
}

/**
 * Streaming, mergeable counts of float32 values. Memory depends on the octaves touched (2 kB each), never on the number of
 * values; exact up to 2³⁷ of them (sums of the low 16 bits then reach 2⁵³).
 */
export class Histogram {
  /** By octave: members of its 128 buckets, then the sums of the low 16 bits of their patterns. */
  readonly #pages: Map<number, Float64Array> = new Map();
  #count = 0;
  #zero = 0;
  #bad = 0;
  #max = 0;
  #negativeMax = 0;

  /** Finite values seen, zeros included. */
  get count(): number {
    return this.#count;
  }

  get zero(): number {
    return this.#zero;
  }

  /** NaN and infinities seen. */
  get bad(): number {
    return this.#bad;
  }

  /** The exact maximum, 0 included. */
  get max(): number {
    return this.#max;
  }

  /** The exact minimum, 0 included. */
  get min(): number {
    return this.#negativeMax === 0 ? 0 : -this.#negativeMax;
  }

  get absMax(): number {
    return Math.max(this.#max, this.#negativeMax);
  }

  /** Counts values one by one: the plain reference of the kernel `histogramCount`. */
  add(values: Float32Array): void {
    for (const x of values) {
      const u = bitsOf(x);
      const magnitude = u & 0x7fffffff;
      if (magnitude > 0x7f7fffff) {
        this.#bad++;
        continue;
      }
      this.#count++;
      if (magnitude === 0) {
        this.#zero++;
        continue;
      }
      if (u >>> 31) this.#negativeMax = Math.max(this.#negativeMax, -x);
      else this.#max = Math.max(this.#max, x);
      const page = this.#page(u >>> 23);
      const bucket = (u >>> 16) & (bucketsPerOctave - 1);
      page[bucket]! += 1;
      page[bucketsPerOctave + bucket]! += u & 0xffff;
    }
  }

  /**
   * Takes over one octave of counts as the kernel leaves them.
   *
   * @param words float64, in which [2][128] members and sums of low bits begin at `at`; copied
   * @param zeros how many members of the first bucket are zeros (octaves 0 and 256)
   */
  addOctave(octave: number, words: Float64Array, at: number, zeros: number): void {
    let members = 0;
    for (let i = 0; i < bucketsPerOctave; i++) members += words[at + i]!;
    if ((octave & badOctave) === badOctave) {
      this.#bad += members;
      return;
    }
    this.#count += members;
    this.#zero += zeros;
    if (members === zeros) return;
    this.#addPage(octave, words, at);
    this.#page(octave)[0]! -= zeros;
  }

  /** Takes exact extrema (0 included) into account. */
  addExtrema(min: number, max: number): void {
    this.#max = Math.max(this.#max, max);
    this.#negativeMax = Math.max(this.#negativeMax, -min);
  }

  /** Forgets everything but keeps the memory: for the next slice. */
  clear(): void {
    for (const page of this.#pages.values()) page.fill(0);
    this.#count = this.#zero = this.#bad = this.#max = this.#negativeMax = 0;
  }

  merge(other: Histogram): void {
    this.#addTotals(other.#count, other.#zero, other.#bad, other.#max, other.#negativeMax);
    for (const [octave, page] of other.#pages) this.#addPage(octave, page, 0);
  }

  /** `merge` of a serialized histogram. */
  mergeBytes(bytes: Uint8Array): void {
    const reader = new VarintReader(bytes);
    assert(reader.next() === formatVersion, "histograms are of this version");
    const [count, zero, bad, max, negativeMax] = [reader.next(), reader.next(), reader.next(), reader.next(), reader.next()];
    this.#addTotals(count, zero, bad, floatOf(max), floatOf(negativeMax));
    while (!reader.done) {
      const page = this.#page(reader.next());
      for (let i = 0; i < bucketsPerOctave; i++) {
        const members = reader.next();
        if (members === 0) continue;
        page[i]! += members;
        page[bucketsPerOctave + i]! += reader.next();
      }
    }
  }

  #addTotals(count: number, zero: number, bad: number, max: number, negativeMax: number): void {
    this.#count += count;
    this.#zero += zero;
    this.#bad += bad;
    this.addExtrema(-negativeMax, max);
    assert(this.#count < mostValues, "a histogram counts fewer than 2^37 values");
  }

  /** @param at where the page begins in `words`: no view is made, since there are many pages and many slices */
  #addPage(octave: number, words: Float64Array, at: number): void {
    const own = this.#page(octave);
    for (let i = 0; i < pageLength; i++) own[i]! += words[at + i]!;
  }

  #page(octave: number): Float64Array {
    let page = this.#pages.get(octave);
    if (!page) {
      page = new Float64Array(pageLength);
      this.#pages.set(octave, page);
    }
    return page;
  }

  /** Totals, then the octaves in ascending order. The same values give the same bytes; 10–40 kB for a real tensor. */
  serialize(): Uint8Array<ArrayBuffer> {
    for (const total of [formatVersion, this.#count, this.#zero, this.#bad, bitsOf(this.#max), bitsOf(this.#negativeMax)]) {
      writer.write(total);
    }
    for (const [octave, page] of [...this.#pages].sort(([a], [b]) => a - b)) {
      if (!page.some((word) => word > 0)) continue;
      writer.write(octave);
      for (let i = 0; i < bucketsPerOctave; i++) {
        writer.write(page[i]!);
        if (page[i]! > 0) writer.write(page[bucketsPerOctave + i]!);
      }
    }
    return writer.take();
  }

  static parse(bytes: Uint8Array): Histogram {
    const histogram = new Histogram();
    histogram.mergeBytes(bytes);
    return histogram;
  }

  /** All buckets that hold something, zeros left out: positive ones by ascending magnitude, then the negative ones. */
  *buckets(): Generator<Bucket> {
    for (const octave of [...this.#pages.keys()].sort((a, b) => a - b)) {
      const page = this.#pages.get(octave)!;
      const negative = octave >= negativeOctaves;
      const exponent = octave % negativeOctaves;
      const unit = floatOf(Math.max(exponent, 1) << 23) * 1.1920928955078125e-7; // 2⁻²³: one unit in the last place
      for (let i = 0; i < bucketsPerOctave; i++) {
        const count = page[i]!;
        if (count === 0) continue;
        const key = exponent * bucketsPerOctave + i;
        const least = floatOf(key << 16);
        const end = least + 65536 * unit;
        yield { negative, key, count, least, end, mean: least + (page[bucketsPerOctave + i]! / count) * unit };
      }
    }
  }

  /** Σx, exact up to the float64 roundings of one addition per bucket, in a fixed order. */
  get sum(): number {
    let sum = 0;
    for (const { negative, count, mean } of this.buckets()) sum += (negative ? -count : count) * mean;
    return sum;
  }

  get mean(): number {
    return this.#count === 0 ? 0 : this.sum / this.#count;
  }

  /** √(Σx²/n) with the members of a bucket at their mean: low by at most 2⁻¹⁵ of itself. */
  get rootMeanSquare(): number {
    let sum = 0;
    for (const { count, mean } of this.buckets()) sum += count * mean * mean;
    return this.#count === 0 ? 0 : Math.sqrt(sum / this.#count);
  }

  /**
   * The magnitude that ⌈q·n⌉ values do not exceed: the greatest value of its bucket, cut at the exact maximum, so
   * exact ≤ answer ≤ exact·(1 + 2⁻⁷) + 2⁻¹²⁶. q = 1 is exact.
   *
   * @param q 0…1, taken as a decimal fraction of 9 digits
   */
  quantile(q: number): number {
    const merged = new Map<number, { end: number; count: number }>();
    for (const { key, count, end } of this.buckets()) {
      const both = merged.get(key);
      if (both) both.count += count;
      else merged.set(key, { end, count });
    }
    const ascending = [...merged].sort(([a], [b]) => a - b).map(([, bucket]) => bucket);
    return cut(ascending, this.#count - rank(q, this.#count), this.absMax);
  }

  /**
   * A bound that ⌈q·n⌉ values do not lie beyond, on one side: magnitude above 0 for positive values, below 0 for negative ones.
   * Guarantee as for `quantile`.
   */
  tail(q: number, side: "positive" | "negative"): number {
    const negative = side === "negative";
    const ascending = [...this.buckets()].filter((bucket) => bucket.negative === negative);
    return cut(ascending, this.#count - rank(q, this.#count), negative ? this.#negativeMax : this.#max);
  }

  /**
   * Counts of |x| in `bins` bins of width 2^k, k the least integer with max |x| < bins · 2^k (so more than half the bins are used).
   * A bucket narrower than a bin lies within one, since both are dyadic; a wider one is spread evenly over its bins, in integers,
   * none beyond the exact maximum. No second pass over the data is needed.
   *
   * @param bins a power of two
   */
  linear(bins: number): { readonly width: number; readonly counts: Float64Array } {
    const counts = new Float64Array(bins);
    if (this.absMax === 0) {
      counts[0] = this.#zero;
      return { width: 1, counts };
    }
    let width = 1;
    while (this.absMax < (bins / 2) * width) width /= 2;
    while (this.absMax >= bins * width) width *= 2;
    counts[0] = this.#zero;
    const last = Math.floor(this.absMax / width);
    for (const { count, least, end } of this.buckets()) {
      const first = Math.floor(least / width);
      const covered = Math.max(1, Math.min(Math.ceil(end / width) - 1, last) - first + 1);
      for (let i = 0; i < covered; i++) {
        counts[first + i]! += Math.floor(((i + 1) * count) / covered) - Math.floor((i * count) / covered);
      }
    }
    return { width, counts };
  }

  /** Every bucket as one signed point at its exact mean: by Minkowski's inequality the RMSE of a quantizer moves by at most 2⁻⁸·rms(x). */
  points(): { readonly values: Float64Array; readonly counts: Float64Array } {
    const buckets = [...this.buckets()];
    return {
      values: Float64Array.from(buckets, ({ negative, mean }) => (negative ? -mean : mean)),
      counts: Float64Array.from(buckets, ({ count }) => count),
    };
  }
}

/** ⌈q·n⌉, at least 1, in integers: 0.9 · 170 must not become 154. */
function rank(q: number, n: number): number {
  const parts = BigInt(Math.round(q * 1e9));
  return Math.max(1, Number((parts * BigInt(n) + 999_999_999n) / 1_000_000_000n));
}

/** The greatest value of the first bucket from above beyond which more than `allowed` values would lie; 0 if there is none. */
function cut(ascending: readonly { readonly end: number; readonly count: number }[], allowed: number, max: number): number {
  let beyond = 0;
  for (let i = ascending.length - 1; i >= 0; i--) {
    const { end, count } = ascending[i]!;
    beyond += count;
    if (beyond > allowed) return Math.min(floatOf(bitsOf(end) - 1), max);
  }
  return 0;
}
