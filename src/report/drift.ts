// How far each layer of an integer program is from the float network on the same samples: where a network breaks.
import type { RawSample } from "../data/types.ts";
import { pixelValues } from "./pixels.ts";
import type { Twins } from "./twins.ts";

/** The distance of one value. */
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
 *
 * @throws HalftoneError of a sample, CANCELLED
 */
export async function measureDrift(twins: Twins, samples: readonly RawSample[]): Promise<LayerDrift[]> {
  const { engine, session } = twins;
  const held = pixelValues(session.plan);
  const shared = session.plan.steps
    .filter(({ output }) => !held.has(output))
    .map((step) => session.plan.values[step.output]!.name)
    .filter((name, i, all) => engine.graph.facts.has(name) && all.indexOf(name) === i);
  const sums = new Map(shared.map((name) => [name, { step: 0, signal: 0, noise: 0, largest: 0 }]));

  for (const raw of samples) {
    const { floats, values } = await twins.feed(raw);
    const results = engine.run(floats, { also: shared });
    session.trace(values, (step, value) => {
      const sum = sums.get(value.name);
      const expected = results.get(value.name)?.data as Float32Array | undefined;
      if (!sum || !expected) return;
      sum.step = step;
      for (let i = 0; i < expected.length; i++) {
        const difference = value.values[i]! - expected[i]!;
        sum.signal += expected[i]! * expected[i]!;
        sum.noise += difference * difference;
        sum.largest = Math.max(sum.largest, Math.abs(difference));
      }
    });
  }
  return [...sums].map(([value, { step, signal, noise, largest }]) => ({ value, step, sqnrDb: decibels(signal, noise), largest }));
}

/** The least signal-to-noise ratio among layers that read stored numbers, in decibels: weights and border are all that they differ by. */
export async function firstLayersDb(twins: Twins, samples: readonly RawSample[]): Promise<number> {
  const { plan } = twins.session;
  const held = pixelValues(plan);
  const first = new Set(plan.steps.flatMap((step, i) => (step.kernel === "conv" && held.has(step.input) ? [i] : [])));
  const drift = await measureDrift(twins, samples);
  return drift.reduce((least, { step, sqnrDb }) => (first.has(step) ? Math.min(least, sqnrDb) : least), Number.POSITIVE_INFINITY);
}

export const decibels = (signal: number, noise: number): number =>
  noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise);
