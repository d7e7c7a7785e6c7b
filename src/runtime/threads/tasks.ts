import type { Plan, Step } from "../../plan/types.ts";
import type { Call, Part } from "../step.ts";

/** Products (of the direct sum) below which a step's tasks cost more to hand out than they save: some 60 µs on one thread. */
const leastProducts = 3_000_000;

function products(step: Step, plan: Plan): number {
  if (step.kernel !== "conv") return 0;
  const { dims, order } = plan.values[step.output]!;
  const channels = dims[order.at(-1) ?? 0] ?? 1;
  const pixels = dims.reduce((product, d) => product * d, 1) / channels;
  return pixels * plan.tensors.get(step.weights)!.length;
}

export function worthSplitting(step: Step, plan: Plan): boolean {
  return products(step, plan) >= leastProducts;
}

/**
 * The parts as tasks for any thread: whole ones where there are enough of them, else each cut into as many runs of items as there are
 * threads, each with the prologue of its part. Which thread takes a task makes no difference to what it writes.
 */
export function tasksOf(parts: readonly Part[], threads: number): Call[][] {
  if (parts.length >= 2 * threads) return parts.map(({ prologue, items }) => [...prologue, ...items.flat()]);
  return parts.flatMap(({ prologue, items }) => {
    const runs = Math.min(threads, items.length);
    return Array.from({ length: runs }, (_, i) => {
      const [from, to] = [i, i + 1].map((n) => Math.floor((n * items.length) / runs)) as [number, number];
      return [...prologue, ...items.slice(from, to).flat()];
    });
  });
}
