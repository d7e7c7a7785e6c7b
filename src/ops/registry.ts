import { arithmeticOperators } from "./arithmetic.ts";
import { castOperators } from "./cast.ts";
import { comparisonOperators } from "./comparison.ts";
import { concatOperators } from "./concat.ts";
import { constantOperators } from "./constant.ts";
import { elementwiseOperators } from "./elementwise.ts";
import { gatherOperators } from "./gather.ts";
import type { Operator } from "./operator.ts";
import { reshapeOperators } from "./reshape.ts";
import { sliceOperators } from "./slice.ts";
import { transposeOperators } from "./transpose.ts";

const families: readonly (readonly Operator[])[] = [
  elementwiseOperators,
  arithmeticOperators,
  comparisonOperators,
  castOperators,
  constantOperators,
  reshapeOperators,
  transposeOperators,
  concatOperators,
  sliceOperators,
  gatherOperators,
];

/** Every operator that the house knows, by its ONNX name: the rows of the families. */
export const operators: ReadonlyMap<string, Operator> = new Map(families.flat().map((row) => [row.op, row]));
