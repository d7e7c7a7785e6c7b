import { HalftoneError } from "../errors.ts";
import { goldenInputs } from "../plan/golden.ts";
import type { Program } from "../plan/program.ts";
import type { PlanTensor } from "../plan/types.ts";
import type { Inputs, Outputs } from "./tensors.ts";

/**
 * Runs a plan's golden inputs and compares every integer of the answers.
 *
 * @param tensors the golden answers, by name
 * @returns how many there were
 * @throws HalftoneError VERIFICATION_FAILED naming the first element that differs
 */
export function verifyGolden(plan: Program, tensors: ReadonlyMap<string, PlanTensor>, run: (inputs: Inputs) => Outputs): number {
  const golden = plan.golden ?? [];
  for (const [i, { seed, outputs }] of golden.entries()) {
    const answers = run(goldenInputs(plan, seed));
    for (const [k, name] of outputs.entries()) {
      const output = plan.values[plan.outputs[k]!]!.name;
      const [found, expected] = [answers[output]!.codes, tensors.get(name)!];
      const at = found.findIndex((code: number, element: number) => code !== expected[element]);
      if (at < 0) continue;
      throw new HalftoneError(
        "VERIFICATION_FAILED",
        `golden input ${i}, output '${output}', element ${at}`,
        `${found[at]}`,
        `${expected[at]}`,
        "This machine does not compute the plan's integers: please report it, with the name and version of the JavaScript engine.",
      );
    }
  }
  return golden.length;
}
