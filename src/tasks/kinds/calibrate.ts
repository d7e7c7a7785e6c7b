import type { Preprocessing, RawSample } from "../../data/types.ts";
import { createEngine } from "../../engine/index.ts";
import { prepare } from "../../graph/prepare.ts";
import { readModel } from "../../onnx/read.ts";
import { Histogram } from "../../ranges/histogram.ts";
import { Observer } from "../../ranges/observe.ts";
import { decodeBatches } from "../batch.ts";
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
 * Runs a slice of samples through the float model and counts the observed values.
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
    const sums = values.map(() => new Histogram());
    for (const feeds of await decodeBatches(observer.engine.graph, payload as CalibratePayload, preprocessing, context)) {
      observer.observe(feeds, values).forEach((histogram, i) => {
        sums[i]!.merge(histogram);
      });
      await context.breathe();
    }
    return sums.map((histogram) => histogram.serialize());
  },
};
