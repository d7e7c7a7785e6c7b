// What reverse mode decides before anything runs, from the graph alone: which gradients are computed, what is kept for them, and how
// long. All of it is data; nothing depends on shapes.
import { HalftoneError } from "../errors.ts";
import type { Graph } from "../graph/types.ts";
import { bottlenecks } from "../graph/units.ts";
import { place } from "../ops/shape.ts";
import type { FloatKernels } from "./kernels.ts";
import type { Schedule, Step } from "./schedule.ts";
import type { GradientKernel, Reads } from "./types.ts";

type Kernel = GradientKernel<FloatKernels>;

/** A step that gradients flow through. */
export interface BackwardStep {
  readonly step: Step;
  readonly kernel: Kernel;
  /** By input: is its gradient wanted, is its value read. */
  readonly wants: readonly boolean[];
  readonly readsInput: readonly boolean[];
  readonly readsOutput: readonly boolean[];
  /** Values whose gradient is whole after this step. */
  readonly complete: readonly number[];
  /** Values that no step reads any more, forwards or backwards. */
  readonly dead: readonly number[];
}

/** Steps between two places where what was made is kept: the unit of recomputation. */
export interface Segment {
  /** What must run again before its backward steps; empty for the last segment. */
  readonly again: readonly Step[];
  /** In the order they run: the last step first. */
  readonly backward: readonly BackwardStep[];
  /** Values that are free when its backward steps have run. */
  readonly dead: readonly number[];
}

export interface ReversePlan {
  readonly forward: readonly Step[];
  readonly segments: readonly Segment[];
  /** Outputs that nothing reads on the way to another: their gradients are whole as soon as they are given. */
  readonly given: readonly number[];
  /** Values whose gradient a backward step makes use of as that of its output. */
  readonly passedOn: ReadonlySet<number>;
}

export interface PlanOptions {
  readonly parameters: ReadonlySet<string>;
  readonly gradients: ReadonlyMap<string, Kernel>;
  readonly flat: ReadonlySet<string>;
  readonly recompute: "none" | "segments";
}

type Active = Omit<BackwardStep, "complete" | "dead">;

/** @throws HalftoneError ONNX_UNSUPPORTED_OP where a gradient would have to pass an operator that has none */
export function planReverse(graph: Graph, schedule: Schedule, options: PlanOptions): ReversePlan {
  const { steps, ids, names } = schedule;
  const idOf = (name: string): number => ids.get(name)!;
  const outputs = new Set(graph.outputs.map(idOf));
  const isFloat = (id: number): boolean => (graph.facts.get(names[id]!)?.dtype ?? "float32") === "float32";
  const weights = new Set([...graph.constants.keys()].map(idOf));

  const active = activeSteps(steps, outputs, new Set([...options.parameters].map(idOf)), isFloat, options);
  const saved = new Set(active.flatMap((a) => (a ? readBy(a) : [])));

  const segmentOf = segmentsOf(steps, options.recompute === "segments" ? cuts(graph) : []);
  const last = segmentOf.at(-1) ?? 0;
  const producer = new Map(steps.flatMap((step, index) => step.outputs.map((id): [number, number] => [id, index])));
  const homeOf = (id: number): number => (producer.has(id) ? segmentOf[producer.get(id)!]! : -1);
  const crossing = new Set(steps.flatMap((step, index) => step.inputs.filter((id) => id >= 0 && homeOf(id) < segmentOf[index]!)));
  const whole = last === 0;
  const kept = new Set([...outputs, ...(whole ? [] : crossing)]);
  const forward = withDead(steps, weights, new Set([...kept, ...[...saved].filter((id) => whole || homeOf(id) === last)]));

  const completeAt = new Map<number, number>();
  active.forEach((a, index) => {
    if (!a) return;
    a.step.inputs.forEach((id, i) => {
      if (a.wants[i] && !completeAt.has(id)) completeAt.set(id, index);
    });
  });
  const firstReader = new Map<number, number>();
  active.forEach((a, index) => {
    for (const id of a ? readBy(a) : []) if (!firstReader.has(id)) firstReader.set(id, index);
  });
  const completes = inverse(completeAt);
  const lastUses = inverse(firstReader);

  const segments = Array.from({ length: last + 1 }, (_, s): Segment => {
    const indices = steps.map((__, index) => index).filter((index) => segmentOf[index] === s);
    const here = (id: number): boolean => !outputs.has(id) && !weights.has(id) && (homeOf(id) === s || (whole && homeOf(id) === -1));
    const backward = indices.reverse().flatMap((index): BackwardStep[] => {
      const a = active[index];
      if (!a) return [];
      return [{ ...a, complete: completes.get(index) ?? [], dead: (lastUses.get(index) ?? []).filter(here) }];
    });
    const made = [...producer.keys()].filter((id) => id >= 0 && homeOf(id) === s && !outputs.has(id));
    const again = s === last ? [] : needed(steps, segmentOf, s, saved, kept);
    return { again: withDead(again, weights, new Set([...saved, ...kept])), backward, dead: made };
  });
  const passedOn = new Set(active.flatMap((a) => a?.step.outputs ?? []));
  return { forward, segments, given: [...outputs].filter((id) => !completeAt.has(id)), passedOn };
}

/** By step, what runs backwards: on a way from a parameter to an output. */
function activeSteps(
  steps: readonly Step[],
  outputs: ReadonlySet<number>,
  parameters: ReadonlySet<number>,
  isFloat: (id: number) => boolean,
  { gradients, flat }: PlanOptions,
): (Active | undefined)[] {
  const wanted = new Set(parameters);
  for (const { node, inputs, outputs: made } of steps) {
    if (flat.has(node.op) || !inputs.some((id) => wanted.has(id))) continue;
    for (const id of made) if (id >= 0 && isFloat(id)) wanted.add(id);
  }
  const reached = new Set(outputs);
  return steps
    .toReversed()
    .map((step): Active | undefined => {
      const { node, inputs } = step;
      const onTheWay =
        !flat.has(node.op) && step.outputs.some((id) => reached.has(id) && wanted.has(id)) && inputs.some((id) => wanted.has(id));
      if (!onTheWay) return undefined;
      const kernel = gradients.get(node.op);
      if (!kernel) {
        throw new HalftoneError(
          "ONNX_UNSUPPORTED_OP",
          place(node),
          "an operator without a gradient",
          "one that has one on the way to a weight",
        );
      }
      const wants = inputs.map((id) => id >= 0 && wanted.has(id) && isFloat(id));
      inputs.forEach((id, i) => {
        if (wants[i]) reached.add(id);
      });
      const rows = wants.flatMap((want, i): Reads[] => (want ? [kernel.reads[Math.min(i, kernel.reads.length - 1)]!] : []));
      const reads = (list: readonly number[], side: "inputs" | "outputs"): boolean[] =>
        list.map((id, i) => id >= 0 && isFloat(id) && rows.some((row) => row[side] === "all" || row[side]?.includes(i)));
      return { step, kernel, wants, readsInput: reads(inputs, "inputs"), readsOutput: reads(step.outputs, "outputs") };
    })
    .toReversed();
}

function readBy({ step, readsInput, readsOutput }: Active): number[] {
  return [...step.inputs.filter((_, i) => readsInput[i]), ...step.outputs.filter((_, i) => readsOutput[i])];
}

/**
 * Steps after which one value alone is alive, about √n steps apart: keeping those values and making the rest again costs one more
 * forward pass and the square root of the memory. Source: T. Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016.
 */
function cuts(graph: Graph): number[] {
  const spacing = Math.sqrt(graph.nodes.length);
  let previous = -1;
  return bottlenecks(graph).filter((index) => {
    const cut = index - previous >= spacing && index < graph.nodes.length - 1;
    if (cut) previous = index;
    return cut;
  });
}

/** The segment of each step. */
function segmentsOf(steps: readonly Step[], ends: readonly number[]): number[] {
  let segment = 0;
  return steps.map((_, index) => {
    const own = segment;
    if (ends[segment] === index) segment++;
    return own;
  });
}

/** Steps of a segment that make what its gradients read and nobody kept. */
function needed(
  steps: readonly Step[],
  segmentOf: readonly number[],
  segment: number,
  saved: ReadonlySet<number>,
  kept: ReadonlySet<number>,
): Step[] {
  const missing = new Set([...saved].filter((id) => !kept.has(id)));
  return steps
    .filter((_, index) => segmentOf[index] === segment)
    .toReversed()
    .filter(({ inputs, outputs }) => {
      const makes = outputs.some((id) => missing.has(id));
      if (makes) for (const id of inputs) if (!kept.has(id)) missing.add(id);
      return makes;
    })
    .toReversed();
}

/** The steps with the values that none of them touches any more: neither weights nor `kept`. */
function withDead(steps: readonly Step[], weights: ReadonlySet<number>, kept: ReadonlySet<number>): Step[] {
  const lastTouch = new Map<number, number>();
  steps.forEach(({ inputs, outputs }, index) => {
    for (const id of [...outputs, ...inputs]) if (id >= 0 && !weights.has(id) && !kept.has(id)) lastTouch.set(id, index);
  });
  const dead = inverse(lastTouch);
  return steps.map((step, index) => ({ ...step, dead: dead.get(index) ?? [] }));
}

function inverse(map: ReadonlyMap<number, number>): Map<number, number[]> {
  const lists = new Map<number, number[]>();
  for (const [id, index] of map) {
    const list = lists.get(index);
    if (list) list.push(id);
    else lists.set(index, [id]);
  }
  return lists;
}
