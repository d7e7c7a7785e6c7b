// Steps that map codes to codes: sums, products, tables, softmax.
import type { Context } from "./context.ts";
import { channelsOf, logicalElements } from "./layout.ts";
import type { AddStep, LookupStep, MulStep, PlanValue, SoftmaxStep } from "./types.ts";

/** The second operand of add and mul: as large as the first, one element per channel, or one element. */
function checkOperands(context: Context, inputs: readonly [number, number]): PlanValue {
  const { value: a } = context.read(inputs[0], "int8");
  const { value: b } = context.read(inputs[1], "int8");
  const output = context.output("int8");
  context.sameLayout(a, output);
  const elements = logicalElements(b);
  const channels = channelsOf(a);
  const perChannel = elements === channels && channelsOf(b) === channels;
  if (elements !== 1 && !perChannel) context.sameLayout(a, b);
  return output;
}

export function checkAdd(context: Context, step: AddStep): void {
  const output = checkOperands(context, step.inputs);
  context.ordered(step.lo, step.hi);
  // |code − zero| ≤ 255, so any two int32 multipliers keep the sum below 2⁴⁰.
  context.writes(output, [step.lo, step.hi]);
}

export function checkMul(context: Context, step: MulStep): void {
  const output = checkOperands(context, step.inputs);
  context.ordered(step.lo, step.hi);
  const q = step.multiplier;
  context.require(q === 0 || q >= 2 ** 30, () => `multiplier ${q}`, "0 or 2³⁰ to 2³¹ − 1");
  context.writes(output, [step.lo, step.hi]);
}

export function checkLookup(context: Context, step: LookupStep): void {
  const { value: input, range } = context.read(step.input, "int8");
  const output = context.output("int8");
  context.sameLayout(input, output);
  const rows = step.perChannel ? channelsOf(input) : 1;
  const table = context.tensor(step.table, "int8", rows * 256);
  let [lo, hi] = [127, -128];
  for (let row = 0; row < rows; row++) {
    for (const code of table.subarray(row * 256 + range[0] + 128, row * 256 + range[1] + 129)) {
      lo = Math.min(lo, code);
      hi = Math.max(hi, code);
    }
  }
  context.writes(output, [lo, hi]);
}

export function checkSoftmax(context: Context, step: SoftmaxStep): void {
  const { value: input } = context.read(step.input, "int8");
  const output = context.output("int8");
  context.sameLayout(input, output);
  const table = context.tensor(step.table, "uint32", 256);
  context.require(table[0]! > 0, () => "table[0] = 0", "a positive exponential of 0", "It is what the sum is divided by.");
  context.writes(output, [-128, 127]);
}
