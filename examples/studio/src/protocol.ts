// What the page and its conductor (a worker) say to each other: plain data.
import type { Evaluation, Preprocessing, Progress, QuantizeOptions } from "halftone";
import type { CodeHistogram, LayerRow } from "halftone/report";

/** What the samples are for. */
export type Role = "calibration" | "test";

/** Files by path, as they were dropped. */
export type Dropped = ReadonlyMap<string, Blob>;

export interface ModelCard {
  readonly name: string;
  readonly bytes: number;
  readonly operators: number;
  readonly parameters: number;
  /** Of one sample: [C, H, W], as far as the model says. */
  readonly input: readonly (number | string)[];
}

export interface DataCard {
  readonly name: string;
  readonly length: number;
  readonly labelled: boolean;
  /** The first few pictures. */
  readonly pictures: readonly ImageBitmap[];
}

/** A few samples through the float network: whether model, samples and preprocessing belong together. */
export interface Check {
  readonly samples: number;
  /** Percent of labels that were met. */
  readonly top1: number | undefined;
}

/** What lies on the table. */
export interface Bench {
  readonly model: ModelCard;
  readonly calibration: DataCard;
  readonly test: DataCard | undefined;
  readonly preprocessing: Preprocessing;
  readonly labels: readonly string[] | undefined;
  readonly check: Check | { readonly problem: string };
}

export type Choices = Pick<QuantizeOptions, "weights" | "activations" | "ranges" | "method" | "samples" | "firstLast" | "seed"> & {
  /** Steps a part, of methods that learn part by part. */
  readonly iterations: number;
  /** Of methods that plan their steps by time. */
  readonly minutes: number;
};

/** Stages in their order; the first three are named as the library's progress is. */
export const stages = ["calibrate", "reconstruct", "lower", "evaluate", "compare"] as const;
export type Stage = (typeof stages)[number];

/** Progress of one of `stages`. @param seconds since it began */
export type Step = Progress & { readonly note?: string | undefined; readonly seconds: number };

export interface TrialSample {
  readonly picture: ImageBitmap | undefined;
  readonly index: number;
  readonly label: number;
  /** First answers, where they are known. */
  readonly float: number | undefined;
  readonly integer: number | undefined;
}

export interface LayerCard extends LayerRow {
  /** Of the weights that the step multiplies with. */
  readonly codes: CodeHistogram | undefined;
}

export interface Outcome {
  /** sha-256 of the program's file. */
  readonly hash: string;
  readonly planBytes: number;
  readonly evaluation: Evaluation;
  /** Whether it was measured on samples held back, or on those that were calibrated on. */
  readonly heldBack: boolean;
  readonly layers: readonly LayerCard[];
  readonly samples: readonly TrialSample[];
  readonly workers: number;
  readonly seconds: number;
  /** Parts that an earlier, interrupted run had learned. */
  readonly resumedParts: number;
}

export interface Opinion {
  readonly logits: Float32Array;
  readonly milliseconds: number;
}

export interface Answer {
  readonly float: Opinion;
  readonly integer: Opinion | undefined;
  /** What the networks saw. */
  readonly seen: ImageBitmap | undefined;
}

export type Product = "plan" | "onnx" | "report";

/** RGBA pixels. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

/** A picture of the user's own: pixels, or a file of any kind that the browser or the library can read. */
export interface Own {
  readonly picture: Picture | Blob;
  /** Light for dark. */
  readonly invert: boolean;
}

/** What the page starts with. */
export interface Opening {
  readonly bench: Bench;
  readonly choices: Choices;
  /** Whether a closed tab left this run behind, to be continued. */
  readonly unfinished: boolean;
}
