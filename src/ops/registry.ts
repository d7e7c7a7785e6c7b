import { arithmeticOperators } from "./arithmetic.ts";
import { boundedOperators } from "./bounded.ts";
import { castOperators } from "./cast.ts";
import { comparisonOperators } from "./comparison.ts";
import { concatOperators } from "./concat.ts";
import { constantOperators } from "./constant.ts";
import { convOperators } from "./conv.ts";
import { convTransposeOperators } from "./convtranspose.ts";
import { elementwiseOperators } from "./elementwise.ts";
import { gatherOperators } from "./gather.ts";
import { matmulOperators } from "./matmul.ts";
import { normalizationOperators } from "./normalization.ts";
import type { Operator } from "./operator.ts";
import { poolOperators } from "./pool.ts";
import { qlinearOperators } from "./qlinear.ts";
import { quantizeOperators } from "./quantize.ts";
import { reduceOperators } from "./reduce.ts";
import { reshapeOperators } from "./reshape.ts";
import { resizeOperators } from "./resize.ts";
import { sliceOperators } from "./slice.ts";
import { transposeOperators } from "./transpose.ts";

const families: readonly (readonly Operator[])[] = [
  elementwiseOperators,
  boundedOperators,
  arithmeticOperators,
  comparisonOperators,
  castOperators,
  constantOperators,
  reshapeOperators,
  transposeOperators,
  concatOperators,
  sliceOperators,
  gatherOperators,
  resizeOperators,
  convOperators,
  convTransposeOperators,
  matmulOperators,
  poolOperators,
  normalizationOperators,
  reduceOperators,
  quantizeOperators,
  qlinearOperators,
];

/** Every operator that the house knows, by its ONNX name: the rows of the families. */
export const operators: ReadonlyMap<string, Operator> = new Map(families.flat().map((row) => [row.op, row]));
