import { describe, expect, test } from "vitest";
import * as ours from "../../src/ops/math.ts";
import { exactErf, exactPow } from "./exact.ts";

const words = new BigInt64Array(1);
const value = new Float64Array(words.buffer);

/** Position of a double among all doubles: neighbours differ by 1. */
function rank(x: number): bigint {
  value[0] = x;
  return words[0]! < 0n ? -(words[0]! & 0x7fffffffffffffffn) : words[0]!;
}

/** Distance in units of the last place; NaN equals NaN only. */
function ulps(got: number, expected: number): number {
  if (Number.isNaN(got) || Number.isNaN(expected)) return Object.is(got, expected) ? 0 : Number.POSITIVE_INFINITY;
  const d = rank(got) - rank(expected);
  return Number(d < 0n ? -d : d);
}

/** Largest distance over a grid, with the argument where it is. */
function worst(f: (x: number) => number, g: (x: number) => number, grid: Iterable<number>): { at: number; ulps: number } {
  let found = { at: Number.NaN, ulps: 0 };
  for (const x of grid) {
    const d = ulps(f(x), g(x));
    if (d > found.ulps) found = { at: x, ulps: d };
  }
  return found;
}

function* dense(lo: number, hi: number, n = 100_003): Generator<number> {
  for (let i = 0; i <= n; i++) yield lo + ((hi - lo) * i) / n;
}

/** Both signs of magnitudes 2^lo … 2^hi. */
function* wide(lo: number, hi: number, n = 50_021): Generator<number> {
  for (let i = 0; i <= n; i++) {
    const x = 2 ** (lo + ((hi - lo) * i) / n);
    yield x;
    yield -x;
  }
}

const edges = [0, -0, 1, -1, 0.5, 2, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, Infinity, -Infinity, NaN];

/** Bounds in ulps of float64, Math's own error (below 1) included. */
type Real = (x: number) => number;
const functions: readonly [name: string, f: Real, oracle: Real, bound: number, grids: Iterable<number>[]][] = [
  ["exp", ours.exp, Math.exp, 2, [dense(-745.2, -708), dense(-708, 709.78), dense(-1, 1), wide(-1074, 10), edges]],
  ["expm1", ours.expm1, Math.expm1, 2, [dense(-40, 709.7), dense(-1, 1), wide(-1074, 10), edges]],
  ["log", ours.log, Math.log, 2, [dense(0.5, 2), dense(1e-3, 1e3), wide(-1074, 1023), edges]],
  ["log1p", ours.log1p, Math.log1p, 3, [dense(-0.999999, 3), dense(-0.3, 0.42), wide(-1074, 1023), edges]],
  ["tanh", ours.tanh, Math.tanh, 4, [dense(-23, 23), dense(-1.5, 1.5), wide(-1074, 10), edges]],
];

describe.each(functions)("%s", (name, f, oracle, bound, grids) => {
  test(`is within ${bound} ulps of Math.${name}`, () => {
    for (const grid of grids) {
      const found = worst(f, oracle, grid);
      expect(found.ulps, `at ${found.at}`).toBeLessThanOrEqual(bound);
    }
  });
});

test("exp of NaN is NaN, overflows and underflows at float64's ends", () => {
  expect(ours.exp(NaN)).toBeNaN();
  expect(ours.exp(709.782712893384)).toBeLessThan(Infinity);
  expect(ours.exp(709.782712893385)).toBe(Infinity);
  expect([-745.13, -745.2].map((x) => ours.exp(x) > 0)).toEqual([true, false]);
});

describe("pow", () => {
  test("is within 2 ulps of Math.pow", () => {
    let found = { at: "", ulps: 0 };
    for (let i = 0; i < 300_000; i++) {
      const x = 2 ** (((i * 0.6180339887498949) % 1) * 200 - 100);
      const y = ((i * 0.7548776662466927) % 1) * 20 - 10;
      const d = ulps(ours.pow(x, y), x ** y);
      if (d > found.ulps) found = { at: `${x} ** ${y}`, ulps: d };
    }
    expect(found.ulps, found.at).toBeLessThanOrEqual(2);
  });

  // Math.pow itself is some hundred ulps off here.
  test("is within 1 ulp of exact values where the result nears overflow and underflow", () => {
    for (let i = 1; i < 500; i++) {
      const x = 1 + ((i * 0.6180339887498949) % 1) * 10 ** -(i % 7);
      const y = (((i * 0.7548776662466927) % 1) * 1400 - 700) / Math.log(x);
      const exact = exactPow(x, y);
      expect(ulps(ours.pow(x, y), exact), `${x} ** ${y}: ${ours.pow(x, y)} instead of ${exact}`).toBeLessThanOrEqual(1);
    }
  });

  test("has the special cases of IEEE 754", () => {
    for (const x of [...edges, -2, 3, -3, 1e-200, 1e200]) {
      for (const y of [...edges, 3, -3, 4, -4, 2.5, -2.5, 1e300, 9007199254740991, -9007199254740991]) {
        // C, NumPy and IEEE 754 say 1 where JavaScript says NaN: 1 to any power, −1 to an infinite one.
        const ieee = x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : x ** y;
        expect(ulps(ours.pow(x, y), ieee), `${x} ** ${y}: ${ours.pow(x, y)} instead of ${ieee}`).toBeLessThanOrEqual(2);
      }
    }
  });
});

describe("erf", () => {
  test("is within 4 ulps of exact values", () => {
    for (let i = 1; i <= 400; i++) {
      const x = i / 100;
      const y = exactErf(x);
      expect(ulps(ours.erf(x), y), `erf ${x}: ${ours.erf(x)} instead of ${y}`).toBeLessThanOrEqual(4);
      expect(ours.erf(-x)).toBe(-ours.erf(x));
    }
  });

  test("reaches 1 and keeps zeros and NaN", () => {
    expect([0, -0, 6, 7, Infinity, -Infinity, NaN].map(ours.erf)).toEqual([0, -0, 1, 1, 1, -1, NaN]);
    expect(ours.erf(5e-324)).toBe(5e-324);
  });

  test("erfc is 1 − erf, and keeps the tail", () => {
    for (const x of dense(-6, 2, 2000)) expect(Math.abs(ours.erfc(x) - (1 - ours.erf(x)))).toBeLessThanOrEqual(2e-16);
    expect(ulps(ours.erfc(5), 1.5374597944280349e-12)).toBeLessThanOrEqual(8);
    expect(ulps(ours.erfc(10), 2.088487583762545e-45)).toBeLessThanOrEqual(8);
    expect(ulps(ours.erfc(20), 5.395865611607901e-176)).toBeLessThanOrEqual(8);
    expect([28, Infinity, -Infinity].map(ours.erfc)).toEqual([0, 0, 2]);
  });
});

test("sigmoid and softplus are accurate on both sides", () => {
  for (const x of dense(-40, 40, 5000)) {
    const e = Math.exp(-Math.abs(x));
    expect(ulps(ours.sigmoid(x), x >= 0 ? 1 / (1 + e) : e / (1 + e))).toBeLessThanOrEqual(4);
    expect(ulps(ours.softplus(x), Math.max(x, 0) + Math.log1p(e))).toBeLessThanOrEqual(4);
  }
  expect([-Infinity, Infinity, NaN].map(ours.sigmoid)).toEqual([0, 1, NaN]);
  expect([-Infinity, Infinity, NaN].map(ours.softplus)).toEqual([0, Infinity, NaN]);
});
