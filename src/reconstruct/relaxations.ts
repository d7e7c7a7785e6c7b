// Soft functions from a free variable to a rounding in [0, 1], and penalties that drive it to the ends: what an ablation exchanges.
// Source: the choices compared by Yvinec et al. 2023, "Gradient-Based Post-Training Quantization: Challenging the Status Quo".
import { log, pow, sigmoid as logistic, tanh } from "../ops/math.ts";
import type { RegularizerName, RelaxationName } from "./methods.ts";
import { initialRounding, softRounding, softRoundingSlope } from "./parametrizations/sigmoid.ts";
import { cosPi } from "./schedules.ts";

export interface Relaxation {
  /** h(V) */
  readonly value: (v: number) => number;
  /** dh/dV; 0 where h stands still */
  readonly slope: (v: number) => number;
  /** V with h(V) = rest, rest in (0, 1) */
  readonly start: (rest: number) => number;
}

const clip = (x: number): number => Math.min(1, Math.max(0, x));

/** sin(πx) for x in [0, 1]. */
const sinPi = (x: number): number => (x < 0.5 ? cosPi(0.5 - x) : cosPi(x - 0.5));

const tanhOne = tanh(1);

/** x with cosPi(x) = y: bisection, exact to the last bits in 60 halvings. */
function arccosPi(y: number): number {
  let [low, high] = [0, 1];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (cosPi(middle) > y) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

export const relaxations: Readonly<Record<RelaxationName, Relaxation>> = {
  rectifiedSigmoid: { value: softRounding, slope: softRoundingSlope, start: initialRounding },
  sigmoid: {
    value: logistic,
    slope: (v) => logistic(v) * (1 - logistic(v)),
    start: (rest) => log(rest / (1 - rest)),
  },
  clippedLine: { value: clip, slope: (v) => (v > 0 && v < 1 ? 1 : 0), start: (rest) => rest },
  tanh: {
    value: (v) => clip(0.5 * (1 + tanh(2 * v) / tanhOne)),
    slope: (v) => (Math.abs(v) < 0.5 ? (1 - tanh(2 * v) * tanh(2 * v)) / tanhOne : 0),
    start(rest) {
      const y = (2 * rest - 1) * tanhOne;
      return log((1 + y) / (1 - y)) / 4;
    },
  },
  cosine: {
    value: (v) => 0.5 * (1 - cosPi(clip(v))),
    slope: (v) => (v > 0 && v < 1 ? 0.5 * Math.PI * sinPi(v) : 0),
    start: (rest) => arccosPi(1 - 2 * rest),
  },
};

export interface Regularizer {
  readonly value: (h: number, b: number) => number;
  readonly slope: (h: number, b: number) => number;
}

export const regularizers: Readonly<Record<RegularizerName, Regularizer>> = {
  /** 1 − |2h − 1|^b */
  power: {
    value: (h, b) => 1 - pow(Math.abs(2 * h - 1), b),
    slope: (h, b) => -2 * b * pow(Math.abs(2 * h - 1), b - 1) * Math.sign(2 * h - 1),
  },
  none: { value: () => 0, slope: () => 0 },
  /** 4h(1 − h) */
  quadratic: { value: (h) => 4 * h * (1 - h), slope: (h) => 4 - 8 * h },
};
