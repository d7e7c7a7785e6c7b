import type { ParametrizationName } from "../methods.ts";
import { division } from "./division.ts";
import { nearest } from "./nearest.ts";
import { power } from "./power.ts";
import { sigmoid } from "./sigmoid.ts";
import type { Parametrization } from "./types.ts";

/** One row per way of learning weights. */
export const parametrizations: Readonly<Record<ParametrizationName, Parametrization>> = { nearest, sigmoid, division, power };
