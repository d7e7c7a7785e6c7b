// A slice of samples as feeds of the float engine, batch by batch.
import { imageChannels, modelInput, stackSamples } from "../../data/batch.ts";
import { decodeSample } from "../../data/preprocess.ts";
import type { Preprocessing, RawSample, Sample } from "../../data/types.ts";
import type { Graph, Tensor } from "../../graph/types.ts";
import type { TaskContext } from "../context.ts";
import { batchSize } from "./models.ts";

/** Samples as a model of so many channels wants them. */
export async function decodeAll(
  raw: readonly RawSample[],
  preprocessing: Preprocessing,
  channels: number | undefined,
  context: TaskContext,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (const each of raw) {
    samples.push(await decodeSample(each, preprocessing, channels));
    await context.breathe();
  }
  return samples;
}

/**
 * @returns feeds with the number of samples in each; a model that insists on a batch which the samples do not fill gets the last one again
 */
export async function* feedsOf(
  graph: Graph,
  raw: readonly RawSample[],
  preprocessing: Preprocessing,
  context: TaskContext,
): AsyncGenerator<{ readonly feeds: ReadonlyMap<string, Tensor>; readonly count: number }> {
  const input = modelInput(graph);
  const samples = await decodeAll(raw, preprocessing, imageChannels(input.dims), context);
  const size = batchSize(input, samples[0]!);
  for (let start = 0; start < samples.length; start += size) {
    const end = Math.min(samples.length, start + size);
    const places = raw.slice(start, end).map(({ place }) => place);
    yield { feeds: new Map([[input.name, stackSamples(samples.slice(start, end), places, input)]]), count: end - start };
    await context.breathe();
  }
}
