import fc from "fast-check";
import { expect, test } from "vitest";
import { HalftoneError } from "../../src/errors.ts";
import { linearParameters, signedCodes, symmetricCodes, unsignedCodes } from "../../src/formats/linear.ts";
import { pnormError } from "../../src/formats/search.ts";
import { divergences, entropyBins } from "../../src/ranges/entropy.ts";
import { Histogram } from "../../src/ranges/histogram.ts";
import { binomialTail, clopperPearsonUpper, conformalRank, conformalThreshold } from "../../src/ranges/promise.ts";
import { chooseEncoding, chooseRange, fixedRange, type RangeRuleName, rangeRules } from "../../src/ranges/rules.ts";
import { readGolden } from "../formats/golden.ts";

interface Golden {
  kl: {
    levels: number;
    start: number;
    k: number;
    counts: number[];
    threshold_bins: number;
    amax: number;
    divergence_at: [number, number][];
  };
  clopper_pearson: { n: number; k: number; alpha: number; upper: number }[];
  conformal_rank: { n: number; alpha: number; rank: number }[];
}
const golden = readGolden("b-04_ranges.json") as Golden;
const names = Object.keys(rangeRules) as RangeRuleName[];

function histogramOf(values: ArrayLike<number>): Histogram {
  const histogram = new Histogram();
  histogram.add(Float32Array.from(values));
  return histogram;
}

/** A bell with long tails, by Box–Muller from a small generator. */
function bell(n: number, seed = 1): Float32Array {
  let state = seed;
  const uniform = (): number => ((state = (Math.imul(state, 1103515245) + 12345) >>> 0) + 0.5) / 4294967296;
  return Float32Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(6.283185307 * uniform()));
}

test("entropy: threshold and divergences equal the golden ones", () => {
  const { levels, start, counts, threshold_bins, divergence_at } = golden.kl;
  const h = Float64Array.from(counts);
  expect(entropyBins(h, levels, start)).toBe(threshold_bins);
  const found = divergences(h, levels, start);
  for (const [i, value] of divergence_at) expect(Math.abs(found[i - start]! / value - 1)).toBeLessThan(1e-8);
});

test("entropy: counting everything three times changes nothing", () => {
  const { levels, start, counts, threshold_bins } = golden.kl;
  expect(
    entropyBins(
      Float64Array.from(counts, (count) => 3 * count),
      levels,
      start,
    ),
  ).toBe(threshold_bins);
});

test("entropy: prefix sums give the divergence of the definition", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(5), { minLength: 20, maxLength: 60 }), fc.integer({ min: 2, max: 16 }), (counts, levels) => {
      fc.pre(counts.some((count, i) => i > 0 && count > 0));
      const h = Float64Array.from(counts);
      const found = divergences(h, levels, 16);
      h[0] = h[1]!;
      found.forEach((divergence, j) => {
        const direct = definition(h, levels, 16 + j);
        if (direct === Number.POSITIVE_INFINITY) expect(divergence).toBe(direct);
        else expect(divergence).toBeCloseTo(direct, 9);
      });
    }),
  );
});

/** KL(P‖Q) written out bin by bin. */
function definition(h: Float64Array, levels: number, i: number): number {
  const kept = h.slice(0, i);
  const reference = kept.slice();
  reference[i - 1]! += h.slice(i).reduce((a, b) => a + b, 0);
  const q = kept.map((count, j) => {
    if (count === 0) return 0;
    const segment = kept.filter((_, k) => Math.floor((k * levels) / i) === Math.floor((j * levels) / i)).filter((other) => other > 0);
    return segment.reduce((a, b) => a + b) / segment.length;
  });
  const [totalP, totalQ] = [reference, q].map((all) => all.reduce((a, b) => a + b));
  if (totalQ === 0) return Number.POSITIVE_INFINITY;
  return reference.reduce((sum, p, j) => (p === 0 ? sum : sum + (p / totalP!) * Math.log(p / totalP! / (q[j]! / totalQ!))), 0);
}

test("min-max is exact and includes 0", () => {
  expect(chooseRange("minmax", histogramOf([0.1, 3, 2]), unsignedCodes(8), "x")).toEqual({ min: 0, max: 3 });
  expect(chooseRange("minmax", histogramOf([-1.5, 3]), unsignedCodes(8), "x")).toEqual({ min: -1.5, max: Math.fround(3) });
});

test("percentile gives up the same share on either tail, or all of it on the only one", () => {
  const values = Float32Array.from({ length: 2000 }, (_, i) => i - 999.5);
  const { min, max } = chooseRange("percentile", histogramOf(values), unsignedCodes(8), "x", { percentile: 99 });
  expect(values.filter((x) => x > max).length).toBeLessThanOrEqual(10);
  expect(values.filter((x) => x < min).length).toBeLessThanOrEqual(10);
  expect(max).toBeLessThan(999);
  const positive = histogramOf(values.map(Math.abs));
  const one = chooseRange("percentile", positive, unsignedCodes(8), "x", { percentile: 99 });
  expect(one.min).toBe(0);
  expect(one.max).toBeGreaterThanOrEqual(989.5);
  expect(one.max).toBeLessThan(989.5 * (1 + 2 ** -7));
});

test("mse clips a long tail when that costs less", () => {
  const values = bell(20_000);
  values[7] = 20;
  const codes = symmetricCodes(4);
  const h = histogramOf(values);
  const error = (rule: RangeRuleName): number =>
    pnormError({ values }, linearParameters(chooseRange(rule, h, codes, "x"), codes), codes, 2.4);
  expect(error("mse")).toBeLessThan(0.2 * error("minmax"));
});

test.for(names)("%s: intervals lie within what was seen and keep 0", (rule) => {
  const formats = [unsignedCodes(8), signedCodes(8), symmetricCodes(8), unsignedCodes(4)];
  fc.assert(
    fc.property(
      fc.array(fc.float({ min: -1e4, max: 1e4, noNaN: true }), { minLength: 1, maxLength: 60 }),
      fc.constantFrom(...formats),
      (values, codes) => {
        const h = histogramOf(values);
        const { min, max } = chooseRange(rule, h, codes, "x");
        expect(min).toBeLessThanOrEqual(0);
        expect(max).toBeGreaterThanOrEqual(0);
        expect(min).toBeGreaterThanOrEqual(h.min);
        expect(max).toBeLessThanOrEqual(h.max);
      },
    ),
    { numRuns: 40 },
  );
});

test.for(names)("%s: scaling the data by 2^k scales the interval by 2^k", (rule) => {
  const values = bell(3000, 5);
  for (const codes of [unsignedCodes(8), symmetricCodes(4)]) {
    const once = chooseRange(rule, histogramOf(values), codes, "x");
    const scaled = chooseRange(rule, histogramOf(values.map((x) => 32 * x)), codes, "x");
    expect(scaled.max).toBeCloseTo(32 * once.max, 5);
    expect(scaled.min).toBeCloseTo(32 * once.min, 5);
  }
});

test.for(names)("%s: all zeros and a single value give a usable encoding", (rule) => {
  for (const codes of [unsignedCodes(8), symmetricCodes(8)]) {
    const zeros = chooseEncoding(rule, histogramOf([0, 0, 0]), codes, "x");
    expect([...zeros.scale]).toEqual([1]);
    expect([...zeros.zeroPoint]).toEqual([0]);
    for (const value of [3.5, -3.5]) {
      const { scale, zeroPoint } = chooseEncoding(rule, histogramOf([value, value]), codes, "x");
      const far = value > 0 ? codes.hi : codes.lo;
      expect(Math.abs(((far - zeroPoint[0]!) * scale[0]!) / value - 1)).toBeLessThan(0.02);
    }
  }
});

test("a value that was NaN is refused by name", () => {
  try {
    chooseRange("mse", histogramOf([1, Number.NaN]), unsignedCodes(8), "layer1.out");
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(HalftoneError);
    expect((error as HalftoneError).code).toBe("NOT_FINITE");
    expect((error as HalftoneError).message).toMatch(/layer1\.out/);
  }
});

test("bounded operators have power-of-two scales", () => {
  expect(linearParameters(fixedRange("Sigmoid", 8)!, unsignedCodes(8))).toEqual({ scale: 1 / 256, zeroPoint: 0 });
  expect(linearParameters(fixedRange("Tanh", 8)!, unsignedCodes(8))).toEqual({ scale: 1 / 128, zeroPoint: 128 });
  expect(linearParameters(fixedRange("Softmax", 4)!, unsignedCodes(4))).toEqual({ scale: 1 / 16, zeroPoint: 0 });
  expect(fixedRange("Relu", 8)).toBeUndefined();
});

test.for(golden.clopper_pearson)("Clopper–Pearson: $k of $n at $alpha", ({ n, k, alpha, upper }) => {
  expect(clopperPearsonUpper(k, n, alpha)).toBeCloseTo(upper, 11);
  expect(binomialTail(k, n, clopperPearsonUpper(k, n, alpha))).toBeCloseTo(alpha, 10);
});

test("Clopper–Pearson grows with k, falls with m, and is 1 when everything failed", () => {
  const bounds = [0, 1, 2, 5, 31].map((k) => clopperPearsonUpper(k, 32, 0.05));
  expect([...bounds].sort((a, b) => a - b)).toEqual(bounds);
  expect(clopperPearsonUpper(1, 64, 0.05)).toBeLessThan(clopperPearsonUpper(1, 32, 0.05));
  expect(clopperPearsonUpper(32, 32, 0.05)).toBe(1);
});

test.for(golden.conformal_rank)("conformal rank of $n samples at $alpha", ({ n, alpha, rank }) => {
  expect(conformalRank(n, alpha)).toBe(rank > n ? undefined : rank);
});

test("the conformal threshold is the ranked maximum", () => {
  const maxima = Float64Array.from({ length: 128 }, (_, i) => (i * 37) % 128);
  expect(conformalThreshold(maxima, 0.05)).toBe(122);
  expect(conformalThreshold([1, 2, 3], 0.05)).toBeUndefined();
});
