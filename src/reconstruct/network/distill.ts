// Learning a quantized network as a whole: it is shown calibration samples and views of them, and answers as the float network does.
import { throwIfAborted } from "../../errors.ts";
import { powerOfTwo } from "../../formats/powers.ts";
import type { Tensor } from "../../graph/types.ts";
import { findBlocks } from "../../graph/units.ts";
import { beforeGains, behindGains } from "../../quantized/pixels.ts";
import type { Quantized } from "../../quantized/types.ts";
import { SampleCache } from "../cache.ts";
import type { NetworkMethod, Rates } from "../methods.ts";
import { drawWithoutReplacement, streamOf } from "../random.ts";
import { findQuantizers } from "../quantizers.ts";
import { samplesBehindGains } from "../reconstruct.ts";
import { learningRates } from "../schedules.ts";
import type { SampleSource } from "../types.ts";
import type { Quantizer } from "../unit.ts";
import { type Augmentation, augment } from "./augment.ts";
import { Learner, type LearnerState } from "./learner.ts";
import { numbersLayout } from "./numbers.ts";
import type { PairOrder, PairResult } from "./pair.ts";

/** What the method leaves to network and data. */
export interface NetworkSetting {
  readonly iterations: number;
  /** Activations are quantized while it learns. */
  readonly activations: boolean;
  readonly augmentation: Augmentation;
}

/** Runs the slices of a step, here or in workers: results in the order of the slices. */
export interface PairRunner {
  run(numbers: Float32Array, slices: readonly Tensor[]): Promise<readonly PairResult[]>;
  close(): Promise<void>;
}

export interface LearnerStore {
  load(): Promise<LearnerState | undefined>;
  save(state: LearnerState): Promise<void>;
}

export interface DistillWork {
  readonly seed?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Where a run that was stopped continues. */
  readonly checkpoints?: LearnerStore | undefined;
  /** @param losses of the step */
  readonly onStep?: ((done: number, losses: Omit<PairResult, "gradients">, current: () => Quantized) => void) | undefined;
}

/** Samples a slice: whoever runs them, the same gradients are added in the same order. */
const slice = 8;
/** Half a minute of a small network. */
const stepsBetweenCheckpoints = 200;
const purpose = { samples: 0, views: 1 } as const;

/**
 * Learns codes, scales, biases and the step sizes of activations together, through the whole network.
 *
 * @param open gives an order to whoever runs it
 * @throws HalftoneError CANCELLED, OUT_OF_MEMORY
 */
export async function distill(
  quantized: Quantized,
  samples: SampleSource,
  method: NetworkMethod,
  setting: NetworkSetting,
  open: (order: PairOrder) => Promise<PairRunner>,
  work: DistillWork = {},
): Promise<Quantized> {
  const { pixels } = quantized;
  if (!pixels) return distillWhole(quantized, samples, method, setting, open, work);
  const behind = behindGains(quantized, pixels);
  const back = (learned: Quantized): Quantized => beforeGains(quantized, pixels, behind, learned);
  const { onStep } = work;
  const moved: DistillWork = { ...work, onStep: onStep && ((done, losses, current) => onStep(done, losses, () => back(current()))) };
  return back(await distillWhole(behind, samplesBehindGains(samples, pixels), method, setting, open, moved));
}

async function distillWhole(
  quantized: Quantized,
  samples: SampleSource,
  method: NetworkMethod,
  setting: NetworkSetting,
  open: (order: PairOrder) => Promise<PairRunner>,
  work: DistillWork,
): Promise<Quantized> {
  const { graph } = quantized;
  const { batch, temperature, featureWeight } = method;
  const { iterations, activations, augmentation } = setting;
  const quantizers = activations ? findQuantizers(quantized) : [];
  const rates = ratesOf(method.rates, quantized, quantizers);
  const layout = numbersLayout(quantized, quantizers);
  const [input] = graph.inputs as [string];
  const inner = findBlocks(graph).map(({ output }) => output);
  const runner = await open({
    graph,
    quantizers,
    layout,
    encoding: activations && quantized.sites.some(({ value }) => value === input) ? quantized.activations.get(input) : undefined,
    temperature,
    features: featureWeight > 0 ? inner.filter((name) => name !== graph.outputs[0]) : [],
    featureWeight,
  });
  const all = new SampleCache(samples.length);
  try {
    const learner = new Learner(quantized, layout, new Set(quantizers.map(({ group }) => group).filter((group) => group !== input)));
    const dims = await readAll(samples, all);
    const numbers = new Float32Array(layout.length);
    const stored = await work.checkpoints?.load();
    if (stored) learner.restore(stored);
    for (let index = stored?.updates ?? 0; index < iterations; index++) {
      throwIfAborted(work.signal, "distillation");
      learner.write(numbers);
      const path = [work.seed ?? 0, index] as const;
      const drawn = drawWithoutReplacement(streamOf(...path, purpose.samples), batch, samples.length);
      const views = augment(
        { dtype: "float32", dims: [drawn.length, ...dims], data: gathered(all, drawn) },
        augmentation,
        streamOf(...path, purpose.views),
      );
      const { gradients, ...losses } = mean(await runner.run(numbers, cut(views)));
      learner.step(gradients, rates, learningRates.cosine(1, index, iterations));
      if ((index + 1) % stepsBetweenCheckpoints === 0) await work.checkpoints?.save(learner.state);
      work.onStep?.(index + 1, losses, () => learner.result());
    }
    return learner.result();
  } finally {
    all.release();
    await runner.close();
  }
}

/**
 * Codes move in steps of their grid. What all values of a channel share must move by less than the coarsest grid's own error, or it is
 * learning that adds most of the noise: its rates halve with each bit above four.
 */
function ratesOf(rates: Rates, { weights }: Quantized, quantizers: readonly Quantizer[]): Rates {
  const fewest = Math.min(...[...weights.values(), ...quantizers].map(({ encoding }) => encoding.bits));
  const share = powerOfTwo(Math.min(0, 4 - fewest));
  return { codes: rates.codes, scales: rates.scales * share, biases: rates.biases * share, steps: rates.steps * share };
}

/** @returns the dims of a sample */
async function readAll(samples: SampleSource, all: SampleCache): Promise<readonly number[]> {
  let dims: readonly number[] = [];
  for (let first = 0; first < samples.length; first += slice) {
    const tensor = await samples.read(first, Math.min(slice, samples.length - first));
    all.write(first, { dims: tensor.dims, layout: "row-major", ptr: 0 }, tensor.data as Float32Array);
    dims = tensor.dims.slice(1);
  }
  return dims;
}

function gathered(all: SampleCache, indices: readonly number[]): Float32Array {
  const rows = new Float32Array(indices.length * all.size);
  all.gather(indices, 0, rows);
  return rows;
}

function cut(batch: Tensor): Tensor[] {
  const [count, ...dims] = batch.dims as [number, ...number[]];
  const size = batch.data.length / count;
  return Array.from({ length: Math.ceil(count / slice) }, (_, i) => {
    const end = Math.min(count, (i + 1) * slice);
    return { ...batch, dims: [end - i * slice, ...dims], data: (batch.data as Float32Array).slice(i * slice * size, end * size) };
  });
}

/** All slices are of one size: the batch is a multiple of it, or smaller. */
function mean(results: readonly PairResult[]): PairResult {
  const gradients = results[0]!.gradients.slice();
  for (const each of results.slice(1)) for (let i = 0; i < gradients.length; i++) gradients[i] = gradients[i]! + each.gradients[i]!;
  const share = 1 / results.length;
  for (let i = 0; i < gradients.length; i++) gradients[i] = gradients[i]! * share;
  const average = (of: (result: PairResult) => number): number => results.reduce((sum, each) => sum + of(each), 0) * share;
  return { gradients, divergence: average((each) => each.divergence), featureError: average((each) => each.featureError) };
}
