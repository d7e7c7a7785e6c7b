// Every step of an integer program beside the float network, as data: the report, `inspect` and pages draw it.
import type { Plan, Step } from "../plan/types.ts";
import type { LayerDrift } from "./drift.ts";

/** What a step of a program is, and how near to the float network. */
export interface LayerRow {
  /** Step of the program. */
  readonly index: number;
  /** First and last node's name. */
  readonly name: string;
  /** Names in the source model. */
  readonly nodes: readonly string[];
  readonly kernel: Step["kernel"];
  /** Of what the step writes, without the batch. */
  readonly dims: readonly number[];
  readonly type: "int8" | "int32";
  /** Of weights, biases, multipliers and tables. */
  readonly bytes: number;
  /** Proven interval of the accumulator, of steps with weights. */
  readonly accumulator?: readonly [number, number] | undefined;
  /** Signal-to-noise ratio in decibels, Infinity where nothing differs. Absent where the float network has no such value. */
  readonly sqnrDb?: number | undefined;
}

/** A row for each step of a plan. @param drift of its layers, as `measureDrift` found it */
export function layerRows(plan: Plan, drift: readonly LayerDrift[]): LayerRow[] {
  const byStep = new Map(drift.map((layer) => [layer.step, layer]));
  return plan.steps.map((step, index) => {
    const { dims, type } = plan.values[step.output]!;
    const { nodes, kernel } = step;
    return {
      index,
      name: nodes.length > 1 ? `${nodes[0]} … ${nodes.at(-1)}` : (nodes[0] ?? ""),
      nodes,
      kernel,
      dims,
      type,
      bytes: constantBytesOf(plan, step),
      accumulator: "accumulator" in step ? step.accumulator : undefined,
      sqnrDb: byStep.get(index)?.sqnrDb,
    };
  });
}

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
