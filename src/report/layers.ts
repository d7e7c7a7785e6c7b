import type { Plan, Step } from "../plan/types.ts";

/** Names of the tensors that a step refers to, wherever they stand in it. */
function tensorNames(plan: Plan, part: unknown): string[] {
  if (typeof part === "string") return plan.tensors.has(part) ? [part] : [];
  if (typeof part !== "object" || part === null) return [];
  return Object.entries(part).flatMap(([key, value]) => (key === "nodes" ? [] : tensorNames(plan, value)));
}

/** Bytes of weights, biases, multipliers and tables of one step, or of all, as the plan stores them. */
export function constantBytesOf(plan: Plan, steps: Step | readonly Step[]): number {
  return [...new Set(tensorNames(plan, steps))].reduce((sum, name) => sum + plan.tensors.get(name)!.byteLength, 0);
}
