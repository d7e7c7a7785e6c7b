// Codes learned over a power grid, with its exponent: Ŵ = m · sign(q̃) · (|q̃| / n)^(1/a), q̃ = clip(B + D(V), −n, n), D(V) = (1 + 2R) σ(V) − R.
// Rounding up or down is too narrow a space for such a grid, so a code may move R steps beyond its neighbours.
// Source: Yvinec et al. 2023, "NUPES: Non-Uniform Post-Training Quantization via Power Exponent Search"; the form of D is ours.
import { roundHalfEven } from "../../formats/rounding.ts";
import { log, pow, sigmoid as logistic } from "../../ops/math.ts";
import { powerCoordinate, powerLevel, powerTable } from "../../quantized/powergrid.ts";
import { Moments, optimizers } from "../optimizers.ts";
import { sigmoid } from "./sigmoid.ts";
import { Arrays, type Hardened, type Parametrization, type WeightGrid } from "./types.ts";

/** One weight tensor's grid: n greatest code, R reach of a displacement. */
export interface PowerGrid {
  readonly n: number;
  readonly reach: number;
}

/** D(V) */
export function displacement(v: number, reach: number): number {
  return (1 + 2 * reach) * logistic(v) - reach;
}

/** V with B + D(V) = u. @param rest u − B, in [0, 1) */
export function initialDisplacement(rest: number, reach: number): number {
  return -log((1 + 2 * reach) / (rest + reach) - 1);
}

/** q̃ */
export function softCode(base: number, v: number, { n, reach }: PowerGrid): number {
  return Math.max(-n, Math.min(n, base + displacement(v, reach)));
}

/** ∂L/∂V of one element without the regularizer, given g = ∂L/∂Ŵ; the level's slope is taken at half a code at least, so that 0 can be left. */
export function softCodeGradient(base: number, v: number, g: number, m: number, a: number, { n, reach }: PowerGrid): number {
  const t = base + displacement(v, reach);
  if (t < -n || t > n) return 0;
  const share = Math.max(Math.abs(t) / n, 0.5 / n);
  const s = logistic(v);
  return g * (m / (a * n)) * pow(share, 1 / a - 1) * (1 + 2 * reach) * s * (1 - s);
}

/** ∂Ŵ/∂a of one element, its code held: −sign(q̃) m c^(1/a) ln c / a², 0 at c = 0. */
export function levelByExponent(q: number, m: number, a: number, n: number): number {
  const share = Math.abs(q) / n;
  return share === 0 ? 0 : (-Math.sign(q) * m * pow(share, 1 / a) * log(share)) / (a * a);
}

/** ∂/∂V of 1 − |2 frac(D) − 1|^b. */
export function displacementPenaltySlope(v: number, b: number, reach: number): number {
  const d = displacement(v, reach);
  const centred = 2 * (d - Math.floor(d)) - 1;
  const s = logistic(v);
  return -2 * b * pow(Math.abs(centred), b - 1) * Math.sign(centred) * (1 + 2 * reach) * s * (1 - s);
}

/** 1 − |2 frac(D) − 1|^b. */
export function displacementPenalty(v: number, b: number, reach: number): number {
  const d = displacement(v, reach);
  return 1 - pow(Math.abs(2 * (d - Math.floor(d)) - 1), b);
}

/**
 * ∂ŵ/∂a of the plain quantizer, rounding passed straight through both ways: sign(w) (m/a) [c^(1/a − 1) t ln r − c^(1/a) ln(c) / a] with
 * r = |w|/m, t = r^a, c = |q|/n and 0 ln 0 = 0. The composite ∂ŵ/∂w is 1 inside the range: the product of its two factors is 0·∞ at 0.
 */
export function quantizerByExponent(w: number, q: number, m: number, a: number, n: number): number {
  const r = Math.abs(w) / m;
  const c = Math.abs(q) / n;
  if (r === 0 || c === 0) return 0;
  return Math.sign(w) * (m / a) * (pow(c, 1 / a - 1) * pow(r, a) * log(r) - (pow(c, 1 / a) * log(c)) / a);
}

/** Greatest code whose levels still fit a table of int8 without many of them falling together: 5 bits. */
const greatestCode = 15;
const leastExponent = 0.3;
const mostExponent = 1.2;
/** Learning rate of the exponent, and the share of the steps after which it is held, so that the level table is final. */
const exponentRate = 1e-3;
const free = { from: 0.2, to: 0.8 } as const;
/** A displacement within this of a whole number is settled. */
const settled = 0.01;

/** 0.30, 0.35 … 1.20, and shares of the largest weight at which a row is clipped. */
const exponents: readonly number[] = Array.from({ length: 19 }, (_, i) => (30 + 5 * i) / 100);
const shares: readonly number[] = Array.from({ length: 11 }, (_, i) => 1 - i / 20);

/** ‖w − ŵ‖² of a row. */
function rowError(row: Float32Array, m: number, a: number, n: number): number {
  const levels = Array.from({ length: n + 1 }, (_, q) => powerLevel(q, m, a, n));
  const borders = Array.from({ length: n }, (_, q) => powerLevel(q + 0.5, m, a, n));
  let sum = 0;
  for (const w of row) {
    const size = Math.abs(w);
    let q = 0;
    while (q < n && size > borders[q]!) q++;
    sum += (size - levels[q]!) * (size - levels[q]!);
  }
  return sum;
}

/** The exponent of a layer and the range of each row with the least squared error; few codes want clipped ranges, so both are sought together. */
function choosePowers({ rows, columns, values }: WeightGrid, n: number): { a: number; most: Float32Array } {
  const parts = Array.from({ length: rows }, (_, r) => values.subarray(r * columns, (r + 1) * columns));
  const largest = parts.map((row) => row.reduce((m, w) => Math.max(m, Math.abs(w)), 0));
  let best = { a: 1, most: new Float32Array(rows).fill(1), error: Number.POSITIVE_INFINITY };
  for (const a of exponents) {
    const most = new Float32Array(rows).fill(1);
    let error = 0;
    parts.forEach((row, r) => {
      let least = Number.POSITIVE_INFINITY;
      for (const share of largest[r] === 0 ? [] : shares) {
        const m = Math.fround(share * largest[r]!);
        const own = rowError(row, m, a, n);
        if (own < least) [least, most[r]] = [own, m];
      }
      if (least < Number.POSITIVE_INFINITY) error += least;
    });
    if (error < best.error) best = { a, most, error };
  }
  return best;
}

/** Integer levels −K … K of the codes −n … n: exact squares for a = ½ where they fit, else 127 the largest. */
function levelTable(a: number, n: number): { levels: Int8Array; K: number } {
  const K = a === 0.5 && n * n <= 127 ? n * n : 127;
  const half = powerTable(a, n, K);
  return { K, levels: Int8Array.from({ length: 2 * n + 1 }, (_, i) => (i < n ? -half[n - i]! : half[i - n]!)) };
}

/** Weights of more than 5 bits would need levels of int16: they are learned up or down on their linear grid. */
export const power: Parametrization = {
  start(home, grid) {
    const n = (grid.high[0]! - grid.low[0]! + 1) / 2 - 1;
    if (n > greatestCode || n < 1) return sigmoid.start(home, grid);
    const { rows, columns, values } = grid;
    const size = values.length;
    const reach = 1;
    const { a: a0, most } = choosePowers(grid, n);
    const base = new Float32Array(size);
    const start = new Float32Array(size);
    for (let i = 0; i < size; i++) {
      const u = Math.min(n, Math.max(-n, powerCoordinate(values[i]!, most[Math.floor(i / columns)]!, a0, n)));
      base[i] = Math.floor(u);
      start[i] = initialDisplacement(u - base[i]!, reach);
    }
    const arrays = new Arrays(home);
    const [v, m, q, sigma, dv] = [arrays.put(start), arrays.zeros(size), arrays.zeros(size), arrays.zeros(size), arrays.zeros(size)];
    const [bases, ranges] = [arrays.put(base), arrays.put(most)];
    const exponent = Float64Array.of(a0);
    const moments = new Moments(1);
    let updates = 0;
    return {
      write: (ptr) => home.kernels.powerWeights(ptr, sigma, bases, v, rows, columns, ranges, n, reach, 1 / exponent[0]!),
      step(gradient, { numbers, lambda, exponent: b, progress }) {
        const { kernels } = home;
        const inverse = 1 / exponent[0]!;
        const byA = kernels.powerGradient(dv, gradient, sigma, bases, rows, columns, ranges, n, reach, inverse, lambda, b);
        kernels.adamStep(v, dv, m, q, size, numbers.size / (1 + 2 * reach), numbers.root, numbers.floor);
        if (progress >= free.to) exponent[0] = roundHalfEven(exponent[0]! * 1024) / 1024;
        else if (progress >= free.from) {
          moments.step(exponent, [byA], optimizers.adam(exponentRate, ++updates));
          exponent[0] = Math.min(mostExponent, Math.max(leastExponent, exponent[0]!));
        }
      },
      undecided() {
        let open = 0;
        for (const each of arrays.view(v, size)) {
          const d = displacement(each, reach);
          const rest = d - Math.floor(d);
          if (rest > settled && rest < 1 - settled) open++;
        }
        return open;
      },
      harden(): Hardened {
        const { levels, K } = levelTable(exponent[0]!, n);
        const codes = Int8Array.from(arrays.view(v, size), (each, i) => roundHalfEven(softCode(base[i]!, each, { n, reach })) + n);
        return { codes, scale: most.map((each) => each / K), levels };
      },
      release: () => arrays.release(),
    };
  },
};
