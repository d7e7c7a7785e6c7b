import type { Preprocessing, RawSample } from "../../data/types.ts";
import { Histogram } from "../../ranges/histogram.ts";
import { Observer } from "../../ranges/observe.ts";
import type { TaskKind } from "../kinds.ts";
import { sharedEngine } from "./models.ts";
import { feedsOf } from "./samples.ts";

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
 * Runs a slice of samples through the float model and counts the observed values. A model that insists on a batch which the slice does
 * not fill counts its last sample again.
 * Memory: one batch of activations and 3 MB of counters, whatever the number of slices.
 */
export const calibrate: TaskKind = {
  async run({ shared, options, payload }, context): Promise<CalibrateResult> {
    const [model] = shared;
    const { values, preprocessing } = options as CalibrateOptions;
    const engine = await sharedEngine(context, model!);
    const { observer, spare } = await context.memo(`observer ${model}`, async () => {
      return { observer: new Observer(engine), spare: [] as Histogram[] };
    });
    // Taken out while in use, since another run may come between two awaits of this one; in order, so that each keeps its octaves.
    const kept = spare.splice(0, values.length);
    const histograms = values.map((_, i) => kept[i] ?? new Histogram());
    for (const histogram of histograms) histogram.clear();
    for await (const { feeds } of feedsOf(observer.engine.graph, payload as CalibratePayload, preprocessing, context))
      observer.observe(feeds, values, histograms);
    const result = histograms.map((histogram) => histogram.serialize());
    spare.push(...histograms);
    return result;
  },
};
