// Rounding by a rectified sigmoid: Ŵ = s · clip(⌊W/s⌋ + h(V), lo, hi), h(V) = clip(1.2 σ(V) − 0.1, 0, 1), hardened to h = 1[V ≥ 0].
// Source: Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization" (AdaRound), equations 21–24.
import { log, pow, sigmoid as logistic } from "../../ops/math.ts";
import { roundingStart } from "./start.ts";
import { Arrays, type Hardened, type Parametrization, type WeightGrid } from "./types.ts";

const gamma = -0.1;
const zeta = 1.1;
/** Roundings within this of 0 or 1 are settled. */
const settled = 0.01;
/** |V| from which h is 0 or 1 and stands still, with a margin. */
const beyond = 4;
/** A weight on the grid starts exactly at the end of h; whether it may move must not depend on the last bit of σ. */
const tolerance = 1e-6;

/** h(V) */
export function softRounding(v: number): number {
  return Math.min(1, Math.max(0, (zeta - gamma) * logistic(v) + gamma));
}

/** dh/dV */
export function softRoundingSlope(v: number): number {
  const s = logistic(v);
  const raw = (zeta - gamma) * s + gamma;
  return raw >= -tolerance && raw <= 1 + tolerance ? (zeta - gamma) * s * (1 - s) : 0;
}

/** V with h(V) = rest, for a fraction in [0, 1]. */
export function initialRounding(rest: number): number {
  return -log((zeta - gamma) / (rest - gamma) - 1);
}

/** 1 − |2h − 1|^b, of one element. */
export function roundingPenalty(v: number, b: number): number {
  return 1 - pow(Math.abs(2 * softRounding(v) - 1), b);
}

/** ∂/∂V of `roundingPenalty`. */
export function roundingPenaltySlope(v: number, b: number): number {
  const d = 2 * softRounding(v) - 1;
  return -2 * b * pow(Math.abs(d), b - 1) * Math.sign(d) * softRoundingSlope(v);
}

/** Ŵ of one element. */
export function softWeight(base: number, v: number, s: number, lo: number, hi: number): number {
  return s * Math.min(hi, Math.max(lo, base + softRounding(v)));
}

/** ∂Ŵ/∂V of one element: 0 where the code is clipped. */
export function softWeightSlope(base: number, v: number, s: number, lo: number, hi: number): number {
  const t = base + softRounding(v);
  return t >= lo && t <= hi ? s * softRoundingSlope(v) : 0;
}

/** Codes of the decisions 1[V ≥ 0]. */
export function hardRounding({ rows, columns, low, high, zero }: WeightGrid, base: Float32Array, v: ArrayLike<number>): Int8Array {
  const codes = new Int8Array(base.length);
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++, i++) {
      const level = base[i]! + (v[i]! >= 0 ? 1 : 0);
      codes[i] = Math.min(high[r]!, Math.max(low[r]!, level)) + zero[r]!;
    }
  }
  return codes;
}

export const sigmoid: Parametrization = {
  start(home, grid, options = {}) {
    const { rows, columns } = grid;
    const n = grid.values.length;
    const { base, rest, frozen } = roundingStart(grid, options);
    const start = rest.map((each, i) => (frozen[i] === 0 ? initialRounding(each) : frozen[i] === 1 ? -beyond : beyond));
    const arrays = new Arrays(home);
    const [v, m, q, sigma] = [arrays.put(start), arrays.zeros(n), arrays.zeros(n), arrays.zeros(n)];
    const [floor, scale, low, high] = [base, grid.scale, grid.low, grid.high].map((each) => arrays.put(each)) as [
      number,
      number,
      number,
      number,
    ];
    return {
      write: (ptr) => home.kernels.relaxedWeights(ptr, sigma, floor, v, rows, columns, scale, low, high),
      step(gradient, { numbers: { size, root, floor: least }, lambda, exponent }) {
        home.kernels.relaxedStep(v, m, q, gradient, sigma, floor, rows, columns, scale, low, high, size, root, least, lambda, exponent);
      },
      undecided() {
        let open = 0;
        for (const each of arrays.view(v, n)) {
          const h = softRounding(each);
          if (h > settled && h < 1 - settled) open++;
        }
        return open;
      },
      harden: (): Hardened => ({ codes: hardRounding(grid, base, arrays.view(v, n)), scale: grid.scale }),
      release: () => arrays.release(),
    };
  },
};
