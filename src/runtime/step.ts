import type { Plan, Step } from "../plan/types.ts";
import type { IntegerKernels } from "./kernels.ts";
import type { PreparedStep } from "./program.ts";
import { preparers } from "./steps/index.ts";

export { type Call, callsOf, type Part, type Placement, type PreparedStep } from "./program.ts";

/**
 * Packs a step's constants and lays out its kernel calls. Every call is short (at most about 20 ms), so a session may stop between two.
 * Kernels read whole vectors: at least 32 readable bytes must follow the arena, the constants and the scratch in linear memory.
 */
export function prepareStep(step: Step, plan: Plan, kernels: IntegerKernels): PreparedStep {
  const prepare = preparers[step.kernel] as (step: Step, plan: Plan, kernels: IntegerKernels) => PreparedStep;
  return prepare(step, plan, kernels);
}
