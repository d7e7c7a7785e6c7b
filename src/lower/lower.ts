// Quantized → Plan: the one place where float scales become multipliers and shifts.
import { assert, HalftoneError } from "../errors.ts";
import { specialize } from "../graph/infer.ts";
import { settle } from "../graph/prepare.ts";
import { stepInputs } from "../plan/lifetimes.ts";
import { arithmeticVersion, type Plan, type PlanValue, planVersion, type Step } from "../plan/types.ts";
import type { ResidualMode } from "../quantized/fusions.ts";
import { accumulatorValues } from "../quantized/sites.ts";
import type { Quantized } from "../quantized/types.ts";
import { findUnits, type Unit, unitNodes, unitOutputs } from "../quantized/units.ts";
import { planArena } from "./arena.ts";
import { Builder, type UnplacedValue } from "./builder.ts";
import { sizeOf } from "./layout.ts";
import { lowerUnit } from "./rules.ts";

export interface LowerOptions {
  /** How residual sums are made; default "wide". */
  readonly residual?: ResidualMode | undefined;
}

/**
 * The integer program of a quantized network, for one sample at a time.
 *
 * @throws HalftoneError NO_INTEGER_FORM naming the operator, ACCUMULATOR_OVERFLOW naming the channel
 */
export function lower(quantized: Quantized, { residual = "wide" }: LowerOptions = {}): Plan {
  const { excluded } = quantized;
  if (excluded.length > 0) {
    throw new HalftoneError(
      "NO_INTEGER_FORM",
      excluded.length === 1 ? `node '${excluded[0]}'` : `nodes '${excluded.join("', '")}'`,
      "an exclusion from quantization",
      "integers throughout",
      "Drop the --exclude, or write an ONNX file, where excluded nodes stay in float.",
    );
  }
  const graph = settle(specialize(quantized.graph, singleSample(quantized)));
  const pixels = residual === "wide" ? quantized.pixels : undefined;
  const builder = new Builder(graph, quantized, pixels);
  const ends = new Set(quantized.sites.flatMap((site) => (site.ends ? [site.value] : [])));
  const accumulators = accumulatorValues(graph, residual, ends);
  for (const input of graph.inputs) builder.codes(input);
  lowerUnits(builder, findUnits(graph, residual, ends), accumulators);

  const inputs = graph.inputs.map((name) => builder.index(name));
  const outputs = graph.outputs.map((name) => builder.index(name));
  const { offsets, total } = place(builder.values, builder.steps, inputs, outputs);
  const { preprocessing, labels, ...provenance } = quantized.provenance;
  return {
    version: planVersion,
    arithmetic: arithmeticVersion,
    values: builder.values.map((value, i): PlanValue => ({ ...value, offset: offsets[i]! })),
    inputs,
    outputs,
    steps: builder.steps,
    arenaBytes: total,
    tensors: builder.tensors,
    preprocessing,
    pixels: pixels && true,
    labels,
    provenance: { ...provenance },
  };
}

/** Lowers all it can, so that one error names every node that has no integer form. */
function lowerUnits(builder: Builder, units: readonly Unit[], accumulators: ReadonlySet<string>): void {
  const refusals: HalftoneError[] = [];
  const missing = new Set<string>();
  for (const unit of units) {
    if (unitNodes(unit).some(({ inputs }) => inputs.some((name) => missing.has(name)))) {
      for (const name of unitOutputs(unit)) missing.add(name);
      continue;
    }
    try {
      lowerUnit(builder, unit, accumulators);
    } catch (error) {
      if (!(error instanceof HalftoneError) || error.code !== "NO_INTEGER_FORM") throw error;
      refusals.push(error);
      for (const name of unitOutputs(unit)) if (!builder.has(name) && !builder.stand(name)) missing.add(name);
    }
  }
  const [first] = refusals;
  if (refusals.length === 1) throw first;
  if (first) {
    throw new HalftoneError(
      "NO_INTEGER_FORM",
      `${refusals.length} nodes`,
      refusals.map(({ place, found }) => `${place} (${found})`).join(", "),
      "operators with an integer form",
      "Write an ONNX file instead of a plan, -o model.onnx: there they run in float between quantizers.",
    );
  }
}

/** Every input with its batch set to 1. */
function singleSample(quantized: Quantized): Record<string, number[]> {
  return Object.fromEntries(
    quantized.graph.inputs.map((name) => {
      const dims = quantized.graph.facts.get(name)?.dims;
      assert(dims, `input '${name}' has a rank`);
      return [name, dims.map((d, axis) => (axis === 0 || typeof d === "string" ? 1 : d))];
    }),
  );
}

/** A value lives from its first writer to its last reader; inputs from the start, outputs to the end. */
function place(
  values: readonly UnplacedValue[],
  steps: readonly Step[],
  inputs: readonly number[],
  outputs: readonly number[],
): { offsets: number[]; total: number } {
  const lives = values.map((value) => ({ bytes: sizeOf(value) * (value.type === "int32" ? 4 : 1), firstStep: steps.length, lastStep: -1 }));
  for (const [i, step] of steps.entries()) {
    for (const index of [step.output, ...stepInputs(step)]) {
      const life = lives[index]!;
      life.firstStep = Math.min(life.firstStep, i);
      life.lastStep = Math.max(life.lastStep, i);
    }
  }
  for (const index of inputs) lives[index]!.firstStep = -1;
  for (const index of outputs) lives[index]!.lastStep = steps.length;
  for (const life of lives) life.lastStep = Math.max(life.lastStep, life.firstStep);
  return planArena(lives);
}
