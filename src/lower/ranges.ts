// Which codes a step can write: what makes accumulator intervals tight. The plan's reader finds the same by itself.
import type { PlanTensor, Step } from "../plan/types.ts";
import { type Interval, union } from "./accumulator.ts";

/** All of int8. */
export const anyCode: Interval = { lo: -128, hi: 127 };

/**
 * @param input  codes of what the step reads; of a copy, of the output as earlier copies left it too
 * @param tensor constants of the plan
 */
export function writtenCodes(step: Step, input: Interval, before: Interval | undefined, tensor: (name: string) => PlanTensor): Interval {
  switch (step.kernel) {
    case "conv":
      return step.epilogue.kind === "accumulator" ? anyCode : { lo: step.epilogue.lo, hi: step.epilogue.hi };
    case "add":
    case "mul":
    case "layernorm":
      return { lo: step.lo, hi: step.hi };
    case "matmul":
      return { lo: step.requantization.lo, hi: step.requantization.hi };
    case "constant":
      return union(Array.from(tensor(step.data), (code) => ({ lo: code, hi: code })));
    case "avgpool":
      return { lo: step.requantization!.lo, hi: step.requantization!.hi };
    case "maxpool":
      return input;
    case "lookup":
      return reached(tensor(step.table), input);
    case "softmax":
      return anyCode;
    case "copy": {
      const fills = step.fills === undefined ? [] : Array.from(tensor(step.fills));
      if (step.fill !== undefined) fills.push(step.fill);
      const rest = fills.length > 0 ? union(fills.map((code) => ({ lo: code, hi: code }))) : before;
      return rest ? union([input, rest]) : input;
    }
  }
}

/** Entries of one or more tables of 256 at the codes that occur. */
function reached(table: PlanTensor, { lo, hi }: Interval): Interval {
  const found = { lo: 127, hi: -128 };
  for (let row = 0; row < table.length; row += 256) {
    for (const code of table.subarray(row + lo + 128, row + hi + 129)) {
      found.lo = Math.min(found.lo, code);
      found.hi = Math.max(found.hi, code);
    }
  }
  return found;
}
