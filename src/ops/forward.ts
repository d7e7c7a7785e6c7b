import type { FloatKernels } from "../engine/kernels.ts";
import type { ForwardKernel } from "../engine/types.ts";
import { binaryKernels } from "./binary.forward.ts";
import { convolutionKernels } from "./conv.forward.ts";
import { matrixKernels } from "./matmul.forward.ts";
import { movementKernels } from "./movement.forward.ts";
import { normalizationKernels } from "./normalization.forward.ts";
import { poolKernels } from "./pool.forward.ts";
import { reduceKernels } from "./reduce.forward.ts";
import { resizeKernels } from "./resize.forward.ts";
import { softmaxKernels } from "./softmax.forward.ts";
import { unaryKernels } from "./unary.forward.ts";

const families: readonly (readonly ForwardKernel<FloatKernels>[])[] = [
  convolutionKernels,
  matrixKernels,
  unaryKernels,
  binaryKernels,
  movementKernels,
  softmaxKernels,
  normalizationKernels,
  reduceKernels,
  poolKernels,
  resizeKernels,
];

/** The float.wasm implementation of each operator that has one; all others run their reference. */
export const forwardKernels: ReadonlyMap<string, ForwardKernel<FloatKernels>> = new Map(families.flat().map((row) => [row.op, row]));
