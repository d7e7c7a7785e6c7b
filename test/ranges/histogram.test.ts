import fc from "fast-check";
import { expect, test } from "vitest";
import { Histogram } from "../../src/ranges/histogram.ts";
import { readGolden } from "../formats/golden.ts";

interface Golden {
  data: number[];
  hist: { n: number; zero: number; maxbits: number; buckets: [number, number, number, number][] };
  sum: number;
  quantiles: { q: number; est: number; exact: number }[];
  linear: { bins: number; k: number; counts: number[] };
  mse_hist: { s: number; n: number; exact: number; hist: number };
}
const golden = readGolden("b-04_ranges.json") as Golden;
const data = Float32Array.from(golden.data);

function histogramOf(values: ArrayLike<number>): Histogram {
  const histogram = new Histogram();
  histogram.add(Float32Array.from(values));
  return histogram;
}

const float = fc.float({ noNaN: true, noDefaultInfinity: true });
const floats = fc.array(float, { maxLength: 80 });

test("counts, zeros and extrema equal the golden ones", () => {
  const h = histogramOf(data);
  const maxBits = new Uint32Array(Float32Array.of(h.absMax).buffer)[0];
  expect([h.count, h.zero, h.bad, maxBits]).toEqual([golden.hist.n, golden.hist.zero, 0, golden.hist.maxbits]);
  expect([h.min, h.max]).toEqual([Math.min(...data), Math.max(...data)]);
});

test("buckets equal the golden ones, key by key; the mean gives back the sum of low bits", () => {
  const buckets = [...histogramOf(data).buckets()].map(({ negative, key, count, least, mean }) => {
    const unit = 2 ** (Math.max(key >> 7, 1) - 150);
    return [negative ? 1 : 0, key, count, Math.round(((mean - least) / unit) * count)];
  });
  expect(buckets).toEqual(golden.hist.buckets);
});

test("the sum is exact", () => {
  expect(Math.abs(histogramOf(data).sum / golden.sum - 1)).toBeLessThan(1e-14);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -(2 ** 20), max: 2 ** 20 }), { maxLength: 60 }), (values) => {
      expect(histogramOf(values).sum).toBeCloseTo(
        values.reduce((a, b) => a + b, 0),
        6,
      );
    }),
  );
});

test("quantiles equal the golden ones", () => {
  const h = histogramOf(data);
  for (const { q, est } of golden.quantiles) expect(h.quantile(q)).toBe(Math.fround(est));
});

test("a quantile is at most one bucket above the exact one, and exact at q = 1", () => {
  fc.assert(
    fc.property(fc.array(float, { minLength: 1, maxLength: 80 }), fc.integer({ min: 1, max: 1000 }), (values, thousandths) => {
      const sorted = Float32Array.from(values, Math.abs).sort();
      const exact = sorted[Math.ceil((thousandths * sorted.length) / 1000) - 1]!;
      const found = histogramOf(values).quantile(thousandths / 1000);
      expect(found).toBeGreaterThanOrEqual(exact);
      expect(found).toBeLessThanOrEqual(exact * (1 + 2 ** -7) + 2 ** -126);
      expect(histogramOf(values).quantile(1)).toBe(sorted.at(-1));
    }),
  );
});

test("a tail leaves out at most the given share on its side", () => {
  fc.assert(
    fc.property(fc.array(float, { minLength: 1, maxLength: 80 }), fc.integer({ min: 1, max: 100 }), (values, percent) => {
      const h = histogramOf(values);
      const allowed = values.length - Math.ceil((percent * values.length) / 100);
      expect(values.filter((x) => x > h.tail(percent / 100, "positive")).length).toBeLessThanOrEqual(allowed);
      expect(values.filter((x) => -x > h.tail(percent / 100, "negative")).length).toBeLessThanOrEqual(allowed);
      expect([h.tail(1, "positive"), 0 - h.tail(1, "negative")]).toEqual([h.max, h.min]);
    }),
  );
});

test("any partition, permutation and merge tree gives the same bytes", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(float, fc.nat(4)), { maxLength: 120 }),
      fc.array(fc.nat(100), { minLength: 5, maxLength: 5 }),
      (tagged, tree) => {
        const whole = histogramOf(tagged.map(([x]) => x)).serialize();
        const shards = Array.from({ length: 5 }, (_, shard) =>
          histogramOf(
            tagged
              .filter(([, own]) => own === shard)
              .map(([x]) => x)
              .reverse(),
          ),
        );
        for (const choice of tree) {
          if (shards.length === 1) break;
          const [other] = shards.splice(choice % shards.length, 1);
          shards[choice % shards.length]!.merge(Histogram.parse(other!.serialize()));
        }
        expect(Buffer.compare(shards[0]!.serialize(), whole)).toBe(0);
      },
    ),
  );
});

test("bytes survive a round trip, at any alignment", () => {
  fc.assert(
    fc.property(floats, fc.nat(7), (values, shift) => {
      const bytes = histogramOf(values).serialize();
      const shifted = new Uint8Array(bytes.length + shift);
      shifted.set(bytes, shift);
      expect(Buffer.compare(Histogram.parse(shifted.subarray(shift)).serialize(), bytes)).toBe(0);
    }),
  );
});

test("the fixed-edge histogram equals the golden one", () => {
  const { width, counts } = histogramOf(data).linear(golden.linear.bins);
  expect(width).toBe(2 ** golden.linear.k);
  expect([...counts]).toEqual(golden.linear.counts);
});

test("the fixed-edge histogram keeps every value, in or beside its bin, and uses more than half of the bins", () => {
  fc.assert(
    fc.property(fc.array(fc.float({ min: -1e3, max: 1e3, noNaN: true }), { minLength: 1, maxLength: 80 }), (values) => {
      const h = histogramOf(values);
      // Where all is subnormal a bucket is wider than many bins, and only the total is promised.
      fc.pre(h.absMax >= 2 ** -126);
      const { width, counts } = h.linear(4096);
      expect(counts.reduce((a, b) => a + b)).toBe(values.length);
      const top = counts.findLastIndex((count) => count > 0);
      expect(top).toBeLessThanOrEqual(Math.floor(h.absMax / width));
      expect(Math.floor(h.absMax / width)).toBeGreaterThanOrEqual(2048);
      // Cumulative counts move by no more than what the bucket (at most 16 bins wide) holds.
      const below = values.filter((x) => Math.abs(x) < 1024 * width).length;
      expect(counts.slice(0, 1024).reduce((a, b) => a + b)).toBe(below);
    }),
  );
});

test("the RMSE of a clipping quantizer moves by at most 2^-8 of the rms, at midpoints and at means", () => {
  const { s, n, exact, hist } = golden.mse_hist;
  const h = histogramOf(data);
  const level = (x: number): number => Math.max(-n, Math.min(n, Math.round(x / s))) * s;
  const squared = (of: (bucket: { least: number; end: number; mean: number }) => number): number =>
    [...h.buckets()].reduce((sum, bucket) => sum + bucket.count * (level(of(bucket)) - of(bucket)) ** 2, 0) / h.count;
  const midpoint = squared(({ least, end }) => (least + end) / 2);
  expect(Math.abs(midpoint / hist - 1)).toBeLessThan(1e-6);
  for (const found of [midpoint, squared(({ mean }) => mean)]) {
    expect(Math.abs(Math.sqrt(found) - Math.sqrt(exact))).toBeLessThanOrEqual(2 ** -8 * h.rootMeanSquare);
  }
});

test("NaN and infinities are counted apart", () => {
  const h = histogramOf([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1, -2, 0, -0]);
  expect([h.bad, h.count, h.zero, h.min, h.max]).toEqual([3, 4, 2, -2, 1]);
});
