// A graph through the real path, calibrate → encode → lower → session, and the two things its answers are held against.
import { expect } from "vitest";
import { createEngine } from "../../src/engine/index.ts";
import { prepare } from "../../src/graph/prepare.ts";
import type { Graph, Tensor } from "../../src/graph/types.ts";
import { interpretPlan } from "../../src/lower/interpret.ts";
import { lower } from "../../src/lower/lower.ts";
import { toQdq } from "../../src/onnx/qdq.ts";
import { checkPlan } from "../../src/plan/check.ts";
import type { Plan } from "../../src/plan/types.ts";
import { encodeGraph } from "../../src/encode.ts";
import type { ResidualMode } from "../../src/quantized/fusions.ts";
import { defaultOptions, type QuantizeOptions } from "../../src/quantized/options.ts";
import type { Quantized } from "../../src/quantized/types.ts";
import { Histogram } from "../../src/ranges/histogram.ts";
import { Observer } from "../../src/ranges/observe.ts";
import { createSession, type OutputTensor } from "../../src/runtime/index.ts";
import { randomTensor } from "../graph/build.ts";
import { integerModule } from "../runtime/kernels.ts";

export type Feeds = ReadonlyMap<string, Tensor>;

/** Random inputs of a graph, the batch set to 1: numbers around 0.2, so that zero points are not in the middle. */
export function samplesOf(graph: Graph, count: number, seed = 1): Feeds[] {
  return Array.from(
    { length: count },
    (_, i) =>
      new Map(
        graph.inputs.map((name, k) => {
          const dims = graph.facts.get(name)!.dims!.map((d) => (typeof d === "number" ? d : 1));
          return [name, randomTensor(dims, 1000 * seed + 10 * i + k, 0.2)];
        }),
      ),
  );
}

/** Min-max ranges unless told otherwise: then no calibration sample is clipped, and float answers are a step or two away. */
export async function quantizeGraph(graph: Graph, samples: readonly Feeds[], options: Partial<QuantizeOptions> = {}): Promise<Quantized> {
  const prepared = prepare(graph);
  const observer = new Observer(await createEngine(prepared));
  const encoded = await encodeGraph(prepared, { ...defaultOptions, ranges: "minmax", ...options }, async (values) => {
    const histograms = values.map(() => new Histogram());
    for (const feeds of samples) observer.observe(feeds, values, histograms);
    return new Map(values.map((name, i) => [name, histograms[i]!]));
  });
  return { ...encoded, provenance: { source: "test", sourceHash: "", options: {}, seed: 0 } };
}

/** All answers of one sample, by output. */
export type Answers = Readonly<Record<string, OutputTensor>>;

/** The intervals that lowering proves are those that the plan's reader finds: one narrower at either end is refused. */
function expectTightIntervals(plan: Plan): void {
  for (const [i, step] of plan.steps.entries()) {
    if (step.kernel !== "conv") continue;
    const [lo, hi] = step.accumulator;
    for (const accumulator of [
      [lo + 1, hi],
      [lo, hi - 1],
    ] as const) {
      expect(() => checkPlan({ ...plan, steps: plan.steps.with(i, { ...step, accumulator }) })).toThrow("an accumulator interval");
    }
  }
}

/** The session's answers, after every step of it was found equal to the interpreter's, bit for bit. */
export async function runPlan(plan: Plan, samples: readonly Feeds[]): Promise<Answers[]> {
  expectTightIntervals(plan);
  using session = await createSession(plan, { wasm: await integerModule() });
  return samples.map((feeds) => {
    const inputs = Object.fromEntries([...feeds].map(([name, { data }]) => [name, data as Float32Array]));
    const steps = new Map<number, Int8Array | Int32Array>();
    session.trace(inputs, (step, { codes }) => steps.set(step, codes));
    const codes = Object.fromEntries(
      plan.inputs.map((i) => {
        const { name, scale, zeroPoint } = plan.values[i]!;
        return [
          name,
          Int8Array.from(inputs[name]!, (x) => Math.max(-128, Math.min(127, roundEven(Math.fround(x / scale[0]!)) + zeroPoint))),
        ];
      }),
    );
    const visited: number[] = [];
    const expected = interpretPlan(plan, codes, (step, written) => {
      visited.push(step);
      expect(steps.get(step), `step ${step} (${plan.steps[step]!.kernel} ${plan.steps[step]!.nodes})`).toEqual(written);
    });
    expect(visited).toEqual([...steps.keys()]);
    const answers = session.run(inputs);
    for (const [name, written] of Object.entries(expected)) expect(answers[name]!.codes).toEqual(written);
    return answers;
  });
}

function roundEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down;
}

export interface Errors {
  /** Largest distance of each mode's answers from the float engine's, in 255ths of that output's range. */
  readonly wide: number;
  readonly codes: number;
  /** The same between `codes` and the QDQ graph in the float engine. */
  readonly qdq: number;
}

/** Runs both modes of lowering and the QDQ graph; every plan's session equals its interpretation. */
export async function errorsOf(graph: Graph, options: Partial<QuantizeOptions> = {}, seed = 1): Promise<Errors & { readonly plan: Plan }> {
  const samples = samplesOf(graph, 4, seed);
  const quantized = await quantizeGraph(graph, samples, options);
  const float = await runGraph(graph, samples);
  const modes: readonly ResidualMode[] = ["wide", "codes"];
  const plans = modes.map((residual) => lower(quantized, { residual }));
  const [wide, codes] = [await runPlan(plans[0]!, samples), await runPlan(plans[1]!, samples)];
  const qdq = await runGraph(toQdq(quantized), samples);
  const reals = (answers: readonly Answers[]): Record<string, Float32Array>[] =>
    answers.map((all) => Object.fromEntries(Object.entries(all).map(([name, { values }]) => [name, values])));
  return {
    wide: distance(reals(wide), float, float),
    codes: distance(reals(codes), float, float),
    qdq: distance(reals(codes), qdq, float),
    plan: plans[0]!,
  };
}

export async function runGraph(graph: Graph, samples: readonly Feeds[]): Promise<Record<string, Float32Array>[]> {
  const engine = await createEngine(graph);
  return samples.map((feeds) => Object.fromEntries([...engine.run(feeds)].map(([name, { data }]) => [name, data as Float32Array])));
}

type Reals = readonly Readonly<Record<string, Float32Array>>[];

function distance(found: Reals, expected: Reals, float: Reals): number {
  let most = 0;
  for (const name of Object.keys(float[0]!)) {
    const all = float.flatMap((each) => [...each[name]!]);
    // An output that is 0 throughout has no range of its own.
    const step = (Math.max(0, ...all) - Math.min(0, ...all)) / 255 || 1;
    for (const [i, each] of found.entries()) {
      expect(each[name]!.length).toBe(expected[i]![name]!.length);
      for (const [k, x] of each[name]!.entries()) most = Math.max(most, Math.abs(x - expected[i]![name]![k]!) / step);
    }
  }
  return most;
}
