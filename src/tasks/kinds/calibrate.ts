import { imageChannels, modelInput, stackSamples } from "../../data/batch.ts";
import { decodeSample } from "../../data/preprocess.ts";
import type { Preprocessing, RawSample, Sample } from "../../data/types.ts";
import { createEngine } from "../../engine/index.ts";
import { prepare } from "../../graph/prepare.ts";
import { readModel } from "../../onnx/read.ts";
import { Histogram } from "../../ranges/histogram.ts";
import { Observer } from "../../ranges/observe.ts";
import type { TaskKind } from "../kinds.ts";

export interface CalibrateOptions {
  /** Values of the prepared graph to observe. */
  readonly values: readonly string[];
  readonly preprocessing: Preprocessing;
}

/** A slice of the samples. */
export type CalibratePayload = readonly RawSample[];

/** One serialized histogram per value, in the order of the options. */
export type CalibrateResult = readonly Uint8Array[];

/** Samples a run, where the model leaves it free: enough to fill matrix kernels; activations take memory for so many. */
const freeBatch = 8;

/**
 * Runs a slice of samples through the float model and counts the observed values. A model that insists on a batch which the slice does
 * not fill counts its last sample again.
 * Memory: one batch of activations and 3 MB of counters, whatever the number of slices.
 */
export const calibrate: TaskKind = {
  async run({ shared, options, payload }, context): Promise<CalibrateResult> {
    const [model] = shared;
    const { values, preprocessing } = options as CalibrateOptions;
    const { observer, spare } = await context.memo(`observer ${model} ${values}`, async () => {
      const graph = prepare(readModel(context.shared.get(model!)!));
      return { observer: new Observer(await createEngine(graph)), spare: [] as Histogram[][] };
    });
    // Taken out while in use: a run between two awaits of this one must not find them.
    const histograms = spare.pop() ?? values.map(() => new Histogram());
    for (const histogram of histograms) histogram.clear();
    const input = modelInput(observer.engine.graph);
    const samples: Sample[] = [];
    const places: string[] = [];
    for (const raw of payload as CalibratePayload) {
      samples.push(await decodeSample(raw, preprocessing, imageChannels(input.dims)));
      places.push(raw.place);
      await context.breathe();
    }
    const size = input.batch ?? freeBatch;
    for (let start = 0; start < samples.length; start += size) {
      const end = start + size;
      const feed = stackSamples(samples.slice(start, end), places.slice(start, end), input);
      observer.observe(new Map([[input.name, feed]]), values, histograms);
      await context.breathe();
    }
    const result = histograms.map((histogram) => histogram.serialize());
    spare.push(histograms);
    return result;
  },
};
