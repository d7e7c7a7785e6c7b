// Which range rule a network is better off with, asked of the network.
import { readSpread } from "./data/spread.ts";
import type { Dataset, Preprocessing } from "./data/types.ts";
import { answersOf, evaluate } from "./evaluate.ts";
import { toQdq } from "./onnx/qdq.ts";
import { writeModel } from "./onnx/write.ts";
import type { Quantized } from "./quantized/types.ts";
import type { WorkOptions } from "./tasks/types.ts";

/** Calibration samples that are asked: their logits differ by decibels between rules, and by tenths between samples of this size. */
const asked = 64;

/**
 * The candidate whose first output is nearest to the float network's on calibration samples, spread evenly over the data; the first of equals.
 * The result does not depend on the number of workers.
 *
 * @throws HalftoneError from data, model and engine, CANCELLED
 */
export async function nearestToFloat<C extends { readonly quantized: Quantized }>(
  candidates: readonly C[],
  model: Uint8Array,
  dataset: Dataset,
  preprocessing: Preprocessing,
  work: WorkOptions,
): Promise<C> {
  const { executor, signal } = work;
  const samples = spread(dataset, Math.min(asked, dataset.length));
  const options = { preprocessing, executor, signal };
  const answers = await answersOf(model, samples, options);
  let best: { candidate: C; decibels: number } | undefined;
  for (const candidate of candidates) {
    const { logitSqnrDb } = await evaluate(writeModel(toQdq(candidate.quantized)), samples, { ...options, answers });
    const decibels = logitSqnrDb ?? Number.NEGATIVE_INFINITY;
    if (best === undefined || decibels > best.decibels) best = { candidate, decibels };
  }
  return best!.candidate;
}

/** Labels are not read. */
function spread(dataset: Dataset, length: number): Dataset {
  return { ...dataset, name: dataset.name, length, labelled: false, read: (start, end) => readSpread(dataset, start, end, length) };
}
