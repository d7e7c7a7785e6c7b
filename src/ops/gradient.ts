import type { FloatKernels } from "../engine/kernels.ts";
import type { GradientKernel } from "../engine/types.ts";
import { binaryGradients } from "./binary.gradient.ts";
import { convolutionGradients } from "./conv.gradient.ts";
import { matrixGradients } from "./matmul.gradient.ts";
import { movementGradients } from "./movement.gradient.ts";
import { normalizationGradients } from "./normalization.gradient.ts";
import { poolGradients } from "./pool.gradient.ts";
import { reduceGradients } from "./reduce.gradient.ts";
import { softmaxGradients } from "./softmax.gradient.ts";
import { unaryGradients } from "./unary.gradient.ts";

const families: readonly (readonly GradientKernel<FloatKernels>[])[] = [
  convolutionGradients,
  matrixGradients,
  unaryGradients,
  binaryGradients,
  movementGradients,
  softmaxGradients,
  normalizationGradients,
  reduceGradients,
  poolGradients,
];

/** The gradient of each operator that has one, in float.wasm. */
export const gradientKernels: ReadonlyMap<string, GradientKernel<FloatKernels>> = new Map(families.flat().map((row) => [row.op, row]));

/** Operators that are constant between their steps: no gradient passes. */
export const flatOperators: ReadonlySet<string> = new Set(["Floor", "Ceil", "Round", "Sign", "OneHot"]);
