// Two measurements by channel over the calibration samples, streamed in fixed slices, and what 8-bit codes make of them.
import { spread } from "./data/spread.ts";
import type { Dataset, Preprocessing } from "./data/types.ts";
import { channelGroups } from "./graph/channels.ts";
import { equalizeChannels } from "./graph/rewrites/equalize.ts";
import type { Graph } from "./graph/types.ts";
import { writeModel } from "./onnx/write.ts";
import { correctable, correctBiases, roundingErrors } from "./quantized/rounding.ts";
import { findSites } from "./quantized/sites.ts";
import type { QuantizedWeight } from "./quantized/types.ts";
import { overSlices } from "./slices.ts";
import { blobOf, createMeter, type WorkOptions } from "./tasks/index.ts";
import type { ReachOptions, ReachResult, SumsOptions, SumsResult } from "./tasks/kinds/channels.ts";

export interface ChannelRun extends WorkOptions {
  readonly dataset: Dataset;
  /** How many samples to use, at most, evenly spread over the data. */
  readonly samples: number;
  readonly preprocessing: Preprocessing;
}

/** As in calibrate.ts. */
const slice = 16;

/**
 * The prepared graph of a model with its channels stretched to a common reach (graph/rewrites/equalize.ts); the very same where it has no
 * channels to stretch. The result does not depend on the number of workers; memory not on that of samples.
 *
 * @throws HalftoneError from data, model and engine, CANCELLED
 */
export async function equalize(model: Uint8Array, graph: Graph, run: ChannelRun): Promise<Graph> {
  const codes = new Set(findSites(graph, 8).map(({ value }) => value));
  const values = channelGroups(graph).flatMap((group) => group.values.filter((value) => codes.has(value)));
  if (values.length === 0) return graph;
  const { preprocessing } = run;
  const most: Float32Array[] = [];
  await overSamples<ReachResult>("reach", { values, preprocessing } satisfies ReachOptions, model, run, (result) => {
    result.forEach((each, i) => {
      most[i] = most[i]?.map((x, c) => Math.max(x, each[c]!)) ?? each;
    });
  });
  return equalizeChannels(graph, new Map(values.map((value, i) => [value, most[i]!])));
}

/**
 * The graph with biases that make up for the mean error of the rounded weights on float activations (quantized/rounding.ts). The result does
 * not depend on the number of workers; memory not on that of samples.
 *
 * @throws HalftoneError from data, model and engine, CANCELLED
 */
export async function correct(graph: Graph, weights: ReadonlyMap<string, QuantizedWeight>, run: ChannelRun): Promise<Graph> {
  const nodes = correctable(graph, weights);
  if (nodes.length === 0) return graph;
  const { preprocessing } = run;
  const totals: Float64Array[] = [];
  const model = writeModel(roundingErrors(graph, weights));
  const count = await overSamples<SumsResult>("sums", { preprocessing } satisfies SumsOptions, model, run, (result) => {
    result.forEach((each, i) => {
      totals[i] = totals[i]?.map((x, c) => x + each[c]!) ?? each;
    });
  });
  return correctBiases(graph, new Map(nodes.map(({ name }, i) => [name, totals[i]!.map((sum) => sum / count)])));
}

/** @returns the number of samples */
async function overSamples<T>(
  kind: "reach" | "sums",
  options: unknown,
  model: Uint8Array,
  { samples, signal, onProgress, executor, ...run }: ChannelRun,
  consume: (result: T) => void,
): Promise<number> {
  const dataset = spread(run.dataset, samples);
  const onSamples = createMeter(kind === "reach" ? "equalize" : "correct", dataset.length, onProgress);
  await overSlices<T>({ kind, options, shared: [await blobOf(model)], dataset, slice, executor, signal, onSamples }, consume);
  return dataset.length;
}
