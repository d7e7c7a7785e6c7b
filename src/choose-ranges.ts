// Which range rule a network is better off with, asked of the network.
import { spread } from "./data/spread.ts";
import type { Dataset, Preprocessing } from "./data/types.ts";
import { HalftoneError } from "./errors.ts";
import { answersOf, evaluate } from "./evaluate.ts";
import { lower } from "./lower/lower.ts";
import { toQdq } from "./onnx/qdq.ts";
import { writeModel } from "./onnx/write.ts";
import type { Plan } from "./plan/types.ts";
import { writePlan } from "./plan/writer.ts";
import type { ResidualMode } from "./quantized/fusions.ts";
import type { Quantized } from "./quantized/types.ts";
import type { WorkOptions } from "./tasks/types.ts";

/** Calibration samples that are asked: their logits differ by decibels between rules, and by tenths between samples of this size. */
const asked = 64;

/**
 * The network whose integer program's first output is nearest to the float network's, on calibration samples spread evenly over the data;
 * the first of equals. What has no program is asked as a QDQ file, in float arithmetic on its codes. The result does not depend on the number of workers.
 *
 * @throws HalftoneError from data, model and engine, CANCELLED
 */
export async function nearestToFloat(
  candidates: readonly Quantized[],
  model: Uint8Array,
  dataset: Dataset,
  preprocessing: Preprocessing,
  residual: ResidualMode,
  work: WorkOptions,
): Promise<Quantized> {
  const { executor, signal } = work;
  // Labels are not read.
  const samples = { ...spread(dataset, asked), labelled: false };
  const options = { preprocessing, executor, signal };
  const answers = await answersOf(model, samples, options);
  let best: { candidate: Quantized; decibels: number } | undefined;
  for (const candidate of candidates) {
    const { logitSqnrDb } = await evaluate(await executable(candidate, residual), samples, { ...options, answers });
    const decibels = logitSqnrDb ?? Number.NEGATIVE_INFINITY;
    if (best === undefined || decibels > best.decibels) best = { candidate, decibels };
  }
  return best!.candidate;
}

async function executable(quantized: Quantized, residual: ResidualMode): Promise<Uint8Array> {
  let plan: Plan;
  try {
    plan = lower(quantized, { residual });
  } catch (error) {
    if (!(error instanceof HalftoneError)) throw error;
    return writeModel(toQdq(quantized));
  }
  return writePlan(plan);
}
