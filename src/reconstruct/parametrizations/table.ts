import type { ParametrizationName } from "../methods.ts";
import { kernelOptimizers } from "../optimizers.ts";
import { division } from "./division.ts";
import { nearest } from "./nearest.ts";
import { power } from "./power.ts";
import { relaxed } from "./relaxed.ts";
import { sigmoid } from "./sigmoid.ts";
import type { Parametrization } from "./types.ts";

/** Roundings with kernels where they have them, else in the plain form. */
const rounding: Parametrization = {
  start(home, grid, options = {}) {
    const { relaxation = "rectifiedSigmoid", regularizer = "power", optimizer = "adam", displacement = 0 } = options;
    const published = relaxation === "rectifiedSigmoid" && regularizer !== "quadratic" && displacement === 0;
    return (published && kernelOptimizers.has(optimizer) ? sigmoid : relaxed).start(home, grid, options);
  },
};

/** One row per way of learning weights. */
export const parametrizations: Readonly<Record<ParametrizationName, Parametrization>> = { nearest, sigmoid: rounding, division, power };
