import type { ConstantStep, Plan } from "../../plan/types.ts";
import type { IntegerKernels } from "../kernels.ts";
import { inArena, type PreparedStep, Program } from "../program.ts";
import { image, pixels } from "./image.ts";
import { int8Tensor } from "./tensors.ts";

/** Codes of the plan where later steps read them: written for each sample anew, since the arena is shared. */
export function prepareConstant(step: ConstantStep, plan: Plan, kernels: IntegerKernels): PreparedStep {
  const program = new Program();
  const y = image(plan.values[step.output]!);
  const from = program.constant(int8Tensor(plan, step.data));
  const n = y.channels;
  program.call(kernels.copyRuns, from, inArena(y.offset), 1, 1, pixels(y), 0, 0, n, 0, 0, y.pitch, n);
  return program;
}
