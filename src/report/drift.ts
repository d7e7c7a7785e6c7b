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
 * Runs both arithmetics over the samples, one at a time, and compares every value that both have. The program of an equalized network has
 * channels in units of their own: there each is compared up to the factor that fits it best, which a run of its own finds.
 *
 * @throws HalftoneError of a sample, CANCELLED
 */
export async function measureDrift(twins: Twins, samples: readonly RawSample[]): Promise<LayerDrift[]> {
  const units = twins.equalized ? await channelUnits(twins, samples) : new Map<string, Float64Array>();
  const sums = new Map<string, { step: number; signal: number; noise: number; largest: number }>();
  await compare(twins, samples, ({ name, step, actual, expected, channelOf }) => {
    const sum = sums.get(name) ?? { step, signal: 0, noise: 0, largest: 0 };
    sums.set(name, sum);
    sum.step = step;
    const unit = units.get(name);
    for (let i = 0; i < expected.length; i++) {
      const difference = actual[i]! / (unit ? unit[channelOf(i)]! : 1) - expected[i]!;
      sum.signal += expected[i]! * expected[i]!;
      sum.noise += difference * difference;
      sum.largest = Math.max(sum.largest, Math.abs(difference));
    }
  });
  return [...sums].map(([value, { step, signal, noise, largest }]) => ({ value, step, sqnrDb: decibels(signal, noise), largest }));
}

/** Σ x̂ x / Σ x² by channel: the factor f with the least Σ (x̂ − f x)². */
async function channelUnits(twins: Twins, samples: readonly RawSample[]): Promise<Map<string, Float64Array>> {
  const moments = new Map<string, { readonly products: Float64Array; readonly squares: Float64Array }>();
  await compare(twins, samples, ({ name, actual, expected, channels, channelOf }) => {
    const found = moments.get(name) ?? { products: new Float64Array(channels), squares: new Float64Array(channels) };
    moments.set(name, found);
    for (let i = 0; i < expected.length; i++) {
      found.products[channelOf(i)]! += actual[i]! * expected[i]!;
      found.squares[channelOf(i)]! += expected[i]! * expected[i]!;
    }
  });
  return new Map(
    [...moments].map(([name, { products, squares }]) => [name, products.map((p, c) => (p > 0 && squares[c]! > 0 ? p / squares[c]! : 1))]),
  );
}

interface Compared {
  readonly name: string;
  readonly step: number;
  readonly actual: Float32Array;
  readonly expected: Float32Array;
  readonly channels: number;
  channelOf(i: number): number;
}

async function compare(twins: Twins, samples: readonly RawSample[], visit: (values: Compared) => void): Promise<void> {
  const { engine, session } = twins;
  const held = pixelValues(session.plan);
  const written = session.plan.steps.filter(({ output }) => !held.has(output)).map(({ output }) => session.plan.values[output]!.name);
  const shared = new Set(written.filter((name) => engine.graph.facts.has(name)));
  for (const raw of samples) {
    const { floats, values } = await twins.feed(raw);
    const results = engine.run(floats, { also: [...shared] });
    session.trace(values, (step, { name, values: actual }) => {
      const tensor = shared.has(name) ? results.get(name) : undefined;
      if (!tensor) return;
      const [, channels = 1, ...spatial] = tensor.dims;
      const each = spatial.reduce((product, d) => product * d, 1);
      const channelOf = (i: number): number => Math.floor(i / each) % channels;
      visit({ name, step, actual, expected: tensor.data as Float32Array, channels, channelOf });
    });
  }
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
