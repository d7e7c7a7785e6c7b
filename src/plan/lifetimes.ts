// When values live, and that no two of them share a byte while they do.
import { malformed } from "./fields.ts";
import { storedBytes } from "./layout.ts";
import type { Plan, Step } from "./types.ts";

/** Values a step reads. */
export function stepInputs(step: Step): readonly number[] {
  if (step.kernel === "constant") return [];
  if ("inputs" in step) return step.inputs;
  if (step.kernel === "conv" && step.epilogue.kind === "residual") return [step.input, step.epilogue.value];
  return [step.input];
}

/** Indices of steps after which their output is whole: the last of the copies that write one value, every other kernel's step. */
export function completions(plan: Pick<Plan, "steps">): ReadonlySet<number> {
  return new Set(new Map(plan.steps.map((step, index) => [step.output, index])).values());
}

/** Steps first…last during which a value must be kept; inputs live from step −1, outputs to the step after the last. */
export interface Lifetime {
  readonly first: number;
  readonly last: number;
}

/** One per value; undefined for values that no step touches. */
export function lifetimes(plan: Plan): (Lifetime | undefined)[] {
  const found: ({ first: number; last: number } | undefined)[] = plan.values.map(() => undefined);
  const touch = (value: number, step: number): void => {
    const lifetime = (found[value] ??= { first: step, last: step });
    lifetime.last = step;
  };
  for (const input of plan.inputs) touch(input, -1);
  for (const [index, step] of plan.steps.entries()) for (const value of [...stepInputs(step), step.output]) touch(value, index);
  for (const output of plan.outputs) touch(output, plan.steps.length);
  return found;
}

/** Index in `active` (sorted by offset) of the first value at or behind `offset`. */
function position(active: readonly number[], offsetOf: (value: number) => number, offset: number): number {
  let [lo, hi] = [0, active.length];
  while (lo < hi) {
    const middle = (lo + hi) >>> 1;
    if (offsetOf(active[middle]!) < offset) lo = middle + 1;
    else hi = middle;
  }
  return lo;
}

/** @throws HalftoneError PLAN_MALFORMED naming two values that live at the same time in the same bytes */
export function checkLifetimes(plan: Plan): void {
  const lives = lifetimes(plan);
  const offsetOf = (value: number): number => plan.values[value]!.offset;
  const endOf = (value: number): number => offsetOf(value) + storedBytes(plan.values[value]!);
  const starting: number[][] = Array.from({ length: plan.steps.length + 2 }, () => []);
  const ending: number[][] = Array.from({ length: plan.steps.length + 2 }, () => []);
  for (const [value, life] of lives.entries()) {
    if (life === undefined) continue;
    starting[life.first + 1]!.push(value);
    ending[life.last + 1]!.push(value);
  }
  const active: number[] = [];
  for (let moment = 0; moment < starting.length; moment++) {
    for (const value of starting[moment]!) {
      const at = position(active, offsetOf, offsetOf(value));
      for (const other of [active[at - 1], active[at]]) {
        if (other !== undefined && offsetOf(other) < endOf(value) && offsetOf(value) < endOf(other))
          throw malformed(
            `plan step ${moment - 1}`,
            `values '${plan.values[other]!.name}' and '${plan.values[value]!.name}' in the same bytes of the arena`,
            "a place of its own for every value that is still needed",
          );
      }
      active.splice(at, 0, value);
    }
    for (const value of ending[moment]!) active.splice(active.indexOf(value, position(active, offsetOf, offsetOf(value))), 1);
  }
}
