// How far each layer of an integer program is from the float network on the same samples: where a network breaks.
import { decodeSample } from "../data/index.ts";
import type { Preprocessing, RawSample } from "../data/types.ts";
import { createEngine } from "../engine/index.ts";
import { prepare } from "../graph/prepare.ts";
import { readModel } from "../onnx/read.ts";
import type { Plan } from "../plan/types.ts";
import { createSession } from "../runtime/index.ts";

export interface LayerDrift {
  /** The value's name in the model. */
  readonly value: string;
  /** Step of the plan that writes it. */
  readonly step: number;
  /** Signal-to-noise ratio against the float network, in decibels; Infinity where nothing differs. */
  readonly sqnrDb: number;
  /** Largest difference, in real units. */
  readonly largest: number;
}

/**
 * Runs both arithmetics over the samples, one at a time, and compares every value that both have.
 * Memory: one sample's activations.
 */
export async function measureDrift(
  model: Uint8Array,
  plan: Plan | Uint8Array,
  samples: readonly RawSample[],
  preprocessing: Preprocessing,
  signal?: AbortSignal,
): Promise<LayerDrift[]> {
  const engine = await createEngine(prepare(readModel(model)));
  const session = await createSession(plan, { signal });
  const [input] = engine.graph.inputs;
  const shared = session.plan.steps
    .map((step) => session.plan.values[step.output]!.name)
    .filter((name, i, all) => engine.graph.facts.has(name) && all.indexOf(name) === i);
  const sums = new Map(shared.map((name) => [name, { step: 0, signal: 0, noise: 0, largest: 0 }]));

  for (const raw of samples) {
    signal?.throwIfAborted();
    const sample = await decodeSample(raw, preprocessing, channelsOf(session.plan));
    const feed = { dtype: "float32" as const, dims: [1, ...session.plan.values[session.plan.inputs[0]!]!.dims], data: sample.values };
    const floats = engine.run(new Map([[input!, feed]]), { also: shared });
    session.trace(sample.values, (step, value) => {
      const sum = sums.get(value.name);
      const expected = floats.get(value.name)?.data as Float32Array | undefined;
      if (!sum || !expected) return;
      sum.step = step;
      const { values } = value;
      for (let i = 0; i < expected.length; i++) {
        const difference = values[i]! - expected[i]!;
        sum.signal += expected[i]! * expected[i]!;
        sum.noise += difference * difference;
        sum.largest = Math.max(sum.largest, Math.abs(difference));
      }
    });
  }
  session[Symbol.dispose]();
  return [...sums].map(([value, { step, signal: s, noise, largest }]) => ({ value, step, sqnrDb: decibels(s, noise), largest }));
}

/** Channels that images are decoded to. */
const channelsOf = (plan: Plan): number | undefined => {
  const { dims } = plan.values[plan.inputs[0]!]!;
  return dims.length === 3 ? dims[0] : undefined;
};

export const decibels = (signal: number, noise: number): number =>
  noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise);
