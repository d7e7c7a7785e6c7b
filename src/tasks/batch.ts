import { decodeSample } from "../data/preprocess.ts";
import type { Preprocessing, RawSample, Sample } from "../data/types.ts";
import { assert, HalftoneError } from "../errors.ts";
import type { Graph, Tensor } from "../graph/types.ts";
import type { TaskContext } from "./context.ts";

/** The one input that samples go to. @throws HalftoneError INPUT_MISMATCH */
export function sampleInput(graph: Graph): string {
  const [name, ...others] = graph.inputs;
  if (name !== undefined && others.length === 0) return name;
  const hint = "Data is fed to models of one input; bind the others to constants before the export.";
  throw new HalftoneError("INPUT_MISMATCH", `model '${graph.name}'`, `${graph.inputs.length} inputs`, "one input", hint);
}

/** How many samples one run takes: the fixed first size of the input, or as many as there are. */
export function batchSize(graph: Graph, available: number): number {
  const size = graph.facts.get(sampleInput(graph))?.dims?.[0];
  return typeof size === "number" ? size : available;
}

/**
 * Decodes and prepares stored samples as feeds of a graph, in order: batches of `batchSize`.
 *
 * @throws HalftoneError DATA_MISMATCH when samples differ in size, or do not fill the fixed batch of the model
 */
export async function decodeBatches(
  graph: Graph,
  samples: readonly RawSample[],
  preprocessing: Preprocessing,
  context: TaskContext,
): Promise<Map<string, Tensor>[]> {
  const input = sampleInput(graph);
  const dims = graph.facts.get(input)?.dims;
  const channels = dims?.length === 4 && typeof dims[1] === "number" ? dims[1] : undefined;
  const size = batchSize(graph, samples.length);
  const decoded: Sample[] = [];
  for (const raw of samples) {
    decoded.push(await decodeSample(raw, preprocessing, channels));
    checkSameSize(decoded[0]!, decoded.at(-1)!, raw.place);
    await context.breathe();
  }
  const feeds: Map<string, Tensor>[] = [];
  for (let start = 0; start < decoded.length; start += size) {
    const batch = decoded.slice(start, start + size);
    if (batch.length < size) {
      const found = `${batch.length} samples left`;
      const hint = "Export the model with a free batch size, or with 1.";
      throw new HalftoneError("DATA_MISMATCH", `input '${input}'`, found, `batches of exactly ${size}`, hint);
    }
    feeds.push(new Map([[input, stack(batch)]]));
  }
  return feeds;
}

function checkSameSize(first: Sample, sample: Sample, place: string): void {
  if (sample.dims.join() === first.dims.join()) return;
  const hint = "Resize and crop to one size: --resize, --crop or --preprocess.";
  throw new HalftoneError("DATA_MISMATCH", place, `[${sample.dims.join(", ")}]`, `[${first.dims.join(", ")}] like the others`, hint);
}

/** [batch, …dims], row-major float32. */
function stack(samples: readonly Sample[]): Tensor {
  const [first] = samples;
  assert(first, "a batch has a sample");
  const data = new Float32Array(samples.length * first.values.length);
  samples.forEach(({ values }, i) => {
    data.set(values, i * first.values.length);
  });
  return { dtype: "float32", dims: [samples.length, ...first.dims], data };
}
