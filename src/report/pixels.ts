// What it costs that a program takes stored numbers: around a picture stands a code, not the mean itself.
import type { PlanPreprocessing } from "../plan/program.ts";
import type { Plan } from "../plan/types.ts";

/** Values that hold stored numbers: the input of a program that takes them, and copies of it. */
export function pixelValues(plan: Pick<Plan, "pixels" | "inputs" | "steps">): ReadonlySet<number> {
  const found = new Set(plan.pixels ? plan.inputs : []);
  for (const step of plan.steps) if (step.kernel === "copy" && found.has(step.input)) found.add(step.output);
  return found;
}

/** The border that a first layer sees, in stored numbers of each channel. */
export interface PixelBorder {
  readonly nodes: readonly string[];
  readonly values: readonly number[];
  /** Those less the mean, in steps of a code. */
  readonly errors: readonly number[];
}

export function pixelBorders(plan: Plan): PixelBorder[] {
  const held = pixelValues(plan);
  return plan.steps.flatMap((step): PixelBorder[] => {
    const codes = step.kernel === "copy" && held.has(step.input) && step.fills !== undefined && plan.tensors.get(step.fills);
    if (!codes) return [];
    const { mean, scale } = plan.preprocessing as PlanPreprocessing;
    const values = Array.from(codes, (code) => code - plan.values[step.output]!.zeroPoint);
    return [{ nodes: step.nodes, values, errors: values.map((value, c) => value - mean[mean.length === 1 ? 0 : c]! / scale) }];
  });
}
