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

/**
 * Runs a slice of samples through the float model and counts the observed values. The slice is one batch, unless the model insists on
 * a size; a fixed batch that the slice does not fill counts its last sample again.
 * Memory: one batch of activations and 3 MB of counters, whatever the number of slices.
 */
export const calibrate: TaskKind = {
  async run({ shared, options, payload }, context): Promise<CalibrateResult> {
    const [model] = shared;
    const { values, preprocessing } = options as CalibrateOptions;
    const observer = await context.memo(`observer ${model}`, async () => {
      const graph = prepare(readModel(context.shared.get(model!)!));
      return new Observer(await createEngine(graph));
    });
    const input = modelInput(observer.engine.graph);
    const samples: Sample[] = [];
    const places: string[] = [];
    for (const raw of payload as CalibratePayload) {
      samples.push(await decodeSample(raw, preprocessing, imageChannels(input.dims)));
      places.push(raw.place);
      await context.breathe();
    }
    const histograms = values.map(() => new Histogram());
    const size = input.batch ?? samples.length;
    for (let start = 0; start < samples.length; start += size) {
      const end = start + size;
      const feed = stackSamples(samples.slice(start, end), places.slice(start, end), input);
      observer.observe(new Map([[input.name, feed]]), values, histograms);
      await context.breathe();
    }
    return histograms.map((histogram) => histogram.serialize());
  },
};
