import { arithmeticOperators } from "./arithmetic.ts";
import { elementwiseOperators } from "./elementwise.ts";
import type { Operator } from "./operator.ts";

/** Every operator that the house knows, by its ONNX name: the rows of the families. */
export const operators: ReadonlyMap<string, Operator> = new Map(
  [elementwiseOperators, arithmeticOperators].flat().map((row) => [row.op, row]),
);
