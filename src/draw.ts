// Which of the samples a network is calibrated on.
import { spread, subset } from "./data/spread.ts";
import type { Dataset, Preprocessing } from "./data/types.ts";
import { answersOf } from "./evaluate.ts";
import type { Draw } from "./quantized/options.ts";
import { drawWithoutReplacement, streamOf } from "./reconstruct/random.ts";
import type { WorkOptions } from "./tasks/types.ts";

/** A stream of its own, beside those of learning. */
const purpose = 0x64726177;

/**
 * `total` samples: spread evenly over the data, by chance, or as many of each class as there are, by the float network's first answers
 * (labels are not read). All of them where there are no more.
 *
 * @throws HalftoneError from data, model and engine, CANCELLED
 */
export async function drawn(
  dataset: Dataset,
  total: number,
  draw: Draw,
  { model, preprocessing, seed }: { readonly model: Uint8Array; readonly preprocessing: Preprocessing; readonly seed: number },
  { executor, signal }: WorkOptions,
): Promise<Dataset> {
  if (draw === "even" || total >= dataset.length) return spread(dataset, total);
  const order = drawWithoutReplacement(streamOf(seed, purpose), dataset.length, dataset.length);
  if (draw === "random") return subset(dataset, order.slice(0, total).toSorted(ascending));
  const answers = await answersOf(model, { ...dataset, labelled: false }, { preprocessing, executor, signal });
  const classes = answers.length / dataset.length;
  const byClass: number[][] = Array.from({ length: classes }, () => []);
  for (const i of order) byClass[firstAnswer(answers.subarray(i * classes, (i + 1) * classes))]!.push(i);
  return subset(dataset, inTurns(byClass).slice(0, total).toSorted(ascending));
}

const ascending = (a: number, b: number): number => a - b;

const firstAnswer = (logits: Float32Array): number => logits.indexOf(logits.reduce((most, x) => Math.max(most, x)));

/** The first of each list, then the second of each, … */
function inTurns(lists: readonly (readonly number[])[]): number[] {
  const longest = Math.max(...lists.map(({ length }) => length));
  return Array.from({ length: longest }, (_, turn) => lists.flatMap((list) => list[turn] ?? [])).flat();
}
