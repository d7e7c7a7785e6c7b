// Which range rule a network is better off with, asked of the network.
import { spread } from "./data/spread.ts";
import type { Dataset, Preprocessing } from "./data/types.ts";
import { answersOf, evaluate } from "./evaluate.ts";
import { toQdq } from "./onnx/qdq.ts";
import { writeModel } from "./onnx/write.ts";
import type { Quantized } from "./quantized/types.ts";
import type { WorkOptions } from "./tasks/types.ts";

/** Calibration samples that are asked: their logits differ by decibels between rules, and by tenths between samples of this size. */
const asked = 64;

/**
 * The quantized network whose first output is nearest to the float network's on calibration samples, spread evenly over the data; the first of equals.
 * The result does not depend on the number of workers.
 *
 * @throws HalftoneError from data, model and engine, CANCELLED
 */
export async function nearestToFloat(
  candidates: readonly Quantized[],
  model: Uint8Array,
  dataset: Dataset,
  preprocessing: Preprocessing,
  work: WorkOptions,
): Promise<Quantized> {
  const { executor, signal } = work;
  // Labels are not read.
  const samples = { ...spread(dataset, asked), labelled: false };
  const options = { preprocessing, executor, signal };
  const answers = await answersOf(model, samples, options);
  let best: { candidate: Quantized; decibels: number } | undefined;
  for (const candidate of candidates) {
    const { logitSqnrDb } = await evaluate(writeModel(toQdq(candidate)), samples, { ...options, answers });
    const decibels = logitSqnrDb ?? Number.NEGATIVE_INFINITY;
    if (best === undefined || decibels > best.decibels) best = { candidate, decibels };
  }
  return best!.candidate;
}
