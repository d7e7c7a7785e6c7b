// Statistics of activations over samples, streamed in fixed slices.

import { spread } from "./data/spread.ts";
import type { Dataset, Preprocessing } from "./data/types.ts";
import { overSlices } from "./slices.ts";
import { blobOf, createMeter, type WorkOptions } from "./tasks/index.ts";
import type { CalibrateOptions, CalibrateResult } from "./tasks/kinds/calibrate.ts";
import { Histogram } from "./ranges/histogram.ts";

export interface CalibrationRun extends WorkOptions {
  /** The model file. */
  readonly model: Uint8Array;
  /** Names of float32 values of the prepared graph. */
  readonly values: readonly string[];
  readonly dataset: Dataset;
  /** How many samples to use, at most; fewer than there are are taken evenly spaced, since folders are sorted by class. */
  readonly samples: number;
  readonly preprocessing: Preprocessing;
  /** Samples per task. */
  readonly slice?: number | undefined;
}

/** Two batches: histograms are sent half as often, and 512 samples still make 32 tasks. */
const defaultSlice = 16;

/**
 * One histogram per value, by name. The bytes of the result depend on model, samples, preprocessing and slice alone: not on workers or
 * completion order. Memory does not depend on the number of samples: executors hold a few slices at a time, and a histogram has
 * the size of the octaves it has seen.
 *
 * @throws HalftoneError from data, model and engine, CANCELLED
 */
export async function calibrate(run: CalibrationRun): Promise<Map<string, Histogram>> {
  const { model, values, preprocessing, slice = defaultSlice, signal, executor, onProgress } = run;
  const dataset = spread(run.dataset, run.samples);
  const histograms = values.map(() => new Histogram());
  const options: CalibrateOptions = { values, preprocessing };
  const onSamples = createMeter("calibrate", dataset.length, onProgress);
  const shared = [await blobOf(model)];
  await overSlices<CalibrateResult>({ kind: "calibrate", options, shared, dataset, slice, executor, signal, onSamples }, (result) => {
    result.forEach((bytes, i) => {
      histograms[i]!.mergeBytes(bytes);
    });
  });
  return new Map(values.map((name, i) => [name, histograms[i]!]));
}
