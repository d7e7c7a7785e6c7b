// How well a model does on labelled samples, and how near it is to another one: the same for a float model and an integer program.
import { joined } from "./data/joined.ts";
import { checkPreprocessing, defaultPreprocessing } from "./data/preprocess.ts";
import type { Dataset, Preprocessing } from "./data/types.ts";
import { HalftoneError } from "./errors.ts";
import { log } from "./ops/math.ts";
import { readPlan } from "./plan/reader.ts";
import { overSlices } from "./slices.ts";
import { blobOf } from "./tasks/hash.ts";
import type { EvaluateOptions as TaskOptions, EvaluateResult } from "./tasks/kinds/evaluate.ts";
import { arithmeticOf } from "./tasks/kinds/models.ts";
import { createMeter } from "./tasks/progress.ts";
import type { WorkOptions } from "./tasks/types.ts";

/** Which samples are evaluated, and against what. */
export interface EvaluateOptions extends WorkOptions {
  /** At most so many samples, after the first `skip`. */
  readonly limit?: number | undefined;
  readonly skip?: number | undefined;
  /** Absent: what the plan remembers, or the default of the data's format. */
  readonly preprocessing?: Preprocessing | undefined;
  /** A second model, run on the same samples: mostly the float one that a plan was made of. */
  readonly against?: Uint8Array | undefined;
  /** Its logits of these samples instead, where they are there already: [samples, classes] row-major. */
  readonly answers?: Float32Array | undefined;
}

/** Percent, rounded to 0.01. */
export interface Accuracy {
  readonly top1: number;
  readonly top5: number;
}

/** `top1` and `top5` are absent for data without labels. */
export interface Evaluation extends Partial<Accuracy> {
  readonly samples: number;
  /** Samples on which both models' first answers are equal, in percent, rounded to 0.01. */
  readonly agreement?: number | undefined;
  /** 10 log10(Σ r² / Σ (r − x)²) over all logits x of the model and r of `against`; Infinity when they are equal. Rounded to 0.01 dB. */
  readonly logitSqnrDb?: number | undefined;
  /** The second model's own accuracy. */
  readonly against?: Accuracy | undefined;
}

/** Samples a task: the batch of the float engine. Fixed, so that results do not depend on the number of workers. */
const slice = 16;

/**
 * Runs a model over a data set, in slices of 16 samples. A hit in top-k: fewer than k logits are greater than the label's.
 *
 * @param model bytes of an ONNX model (run in the float engine) or of a plan (run in integers)
 * @throws HalftoneError of the model, the data, LABEL_RANGE naming the sample, CANCELLED
 */
export async function evaluate(model: Uint8Array, dataset: Dataset, options: EvaluateOptions = {}): Promise<Evaluation> {
  const { against, answers } = options;
  const compared = against !== undefined || answers !== undefined;
  if (!dataset.labelled && !compared)
    throw new HalftoneError(
      "DATA_MISMATCH",
      dataset.name,
      "no labels",
      "labels, or a second model to compare with",
      "Give labels, or --against MODEL.",
    );
  const scores = Array.from({ length: compared ? 2 : 1 }, () => ({ top1: 0, top5: 0 }));
  const difference = { agreeing: 0, signal: 0, noise: 0 };
  let samples = 0;
  await overModels(against ? [model, against] : [model], dataset, options, ({ labels, logits }) => {
    const known = answers && rowsOf(answers, samples, labels.length, logits[0]!.length / labels.length);
    const all = known ? [logits[0]!, known] : logits;
    if (dataset.labelled) for (const [i, own] of all.entries()) score(scores[i]!, own, labels);
    if (compared) compare(difference, all[0]!, all[1]!, labels.length);
    samples += labels.length;
  });
  const accuracies = dataset.labelled
    ? scores.map(({ top1, top5 }): Accuracy => ({ top1: percent(top1, samples), top5: percent(top5, samples) }))
    : [];
  return {
    samples,
    ...accuracies[0],
    ...(compared && { agreement: percent(difference.agreeing, samples), logitSqnrDb: decibels(difference.signal, difference.noise) }),
    ...(accuracies[1] && { against: accuracies[1] }),
  };
}

/** What a model says of each sample: first output, [samples, classes] row-major. @throws HalftoneError as `evaluate` */
export async function answersOf(model: Uint8Array, dataset: Dataset, options: EvaluateOptions = {}): Promise<Float32Array> {
  const parts: Float32Array[] = [];
  await overModels([model], dataset, options, ({ logits }) => void parts.push(logits[0]!));
  return joined(parts, Float32Array);
}

/** Slices of the samples through all models, handed on in order. */
async function overModels(
  models: readonly Uint8Array[],
  dataset: Dataset,
  options: EvaluateOptions,
  consume: (result: EvaluateResult) => void,
): Promise<void> {
  const skip = checkCount(options.skip ?? 0, 0, "--skip");
  const end = Math.min(dataset.length, skip + checkCount(options.limit ?? Number.MAX_SAFE_INTEGER, 1, "--limit"));
  if (end <= skip)
    throw new HalftoneError("DATA_EMPTY", dataset.name, `no sample after the first ${skip} of ${dataset.length}`, "at least one");
  const blobs = await Promise.all(models.map(blobOf));
  const taskOptions: TaskOptions = {
    models: blobs.map(({ hash, bytes }) => ({ hash, arithmetic: arithmeticOf(bytes) })),
    preprocessing: checkPreprocessing(options.preprocessing ?? (await remembered(models[0]!)) ?? (await defaultOf(dataset))),
  };
  const onSamples = createMeter("evaluate", end - skip, options.onProgress);
  const { executor, signal } = options;
  const run = { kind: "evaluate", options: taskOptions, shared: blobs, dataset, first: skip, end, slice, executor, signal, onSamples };
  await overSlices(run, consume);
}

const rowsOf = (answers: Float32Array, first: number, count: number, classes: number): Float32Array =>
  answers.subarray(first * classes, (first + count) * classes);

function checkCount(value: number, least: number, place: string): number {
  if (!Number.isInteger(value) || value < least)
    throw new HalftoneError("OPTION_INVALID", place, String(value), `a whole number, ${least} or more`);
  return value;
}

async function remembered(model: Uint8Array): Promise<Preprocessing | undefined> {
  return arithmeticOf(model) === "integer" ? ((await readPlan(model)).preprocessing as Preprocessing | undefined) : undefined;
}

async function defaultOf(dataset: Dataset): Promise<Preprocessing> {
  const [first] = await dataset.read(0, 1);
  return defaultPreprocessing(first!.format);
}

function score(hits: { top1: number; top5: number }, logits: Float32Array, labels: Int32Array): void {
  const classes = logits.length / labels.length;
  for (const [i, label] of labels.entries()) {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    const own = row[label]!;
    let greater = 0;
    for (const value of row) if (value > own) greater++;
    if (greater < 1) hits.top1++;
    if (greater < 5) hits.top5++;
  }
}

function compare(
  sums: { agreeing: number; signal: number; noise: number },
  x: Float32Array,
  reference: Float32Array,
  samples: number,
): void {
  if (x.length !== reference.length)
    throw new HalftoneError(
      "SHAPE_MISMATCH",
      "--against",
      `${reference.length / samples} classes`,
      `${x.length / samples}, as the model has`,
    );
  const classes = x.length / samples;
  for (let i = 0; i < samples; i++)
    if (firstLargest(x.subarray(i * classes, (i + 1) * classes)) === firstLargest(reference.subarray(i * classes, (i + 1) * classes)))
      sums.agreeing++;
  for (let i = 0; i < x.length; i++) {
    const r = reference[i]!;
    const error = r - x[i]!;
    sums.signal += r * r;
    sums.noise += error * error;
  }
}

function firstLargest(row: Float32Array): number {
  let at = 0;
  for (let i = 1; i < row.length; i++) if (row[i]! > row[at]!) at = i;
  return at;
}

function percent(part: number, whole: number): number {
  return Math.round((part / whole) * 10_000) / 100;
}

function decibels(signal: number, noise: number): number {
  return noise === 0 ? Number.POSITIVE_INFINITY : Math.round((1000 * log(signal / noise)) / log(10)) / 100;
}
