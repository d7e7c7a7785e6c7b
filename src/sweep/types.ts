import type { Dataset, Preprocessing } from "../data/types.ts";
import type { ErrorData } from "../errors.ts";
import type { Evaluation } from "../evaluate.ts";
import type { QuantizeOptions } from "../quantized/options.ts";

/** A float model with its samples. */
export interface SweepModel {
  /** In tables. */
  readonly name: string;
  /** Name of its file, as a plan remembers it. */
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly calibration: Dataset;
  /** Samples that accuracy is measured on. */
  readonly test: Dataset;
  readonly preprocessing: Preprocessing;
  readonly labels?: readonly string[] | undefined;
}

/** What is varied, in the order of tables' columns. */
export const axisNames = ["weights", "activations", "method", "ranges", "seed"] as const;
export type AxisName = (typeof axisNames)[number];

/** One value of an axis: how it is written, and the options that it stands for. */
export interface Choice {
  readonly label: string;
  readonly set: Partial<QuantizeOptions>;
}

/** Every model with every combination of choices. */
export interface SweepPlan {
  readonly models: readonly SweepModel[];
  readonly axes: Readonly<Record<AxisName, readonly Choice[]>>;
  /** Everything that is not varied. */
  readonly options: QuantizeOptions;
  /** Samples to measure on, at most. */
  readonly limit?: number | undefined;
}

/** What became of one combination. Its `evaluation` is the integer program's. */
export interface Measured {
  readonly evaluation: Evaluation;
  /** Quantized weights alone, activations in float: measured in the float engine where that was asked for. */
  readonly weightsAlone?: Evaluation | undefined;
  /** Of the plan file. */
  readonly bytes: number;
  /** sha-256 of the plan file. */
  readonly plan: string;
}

export interface Failed {
  readonly error: ErrorData;
}

export const isFailed = (value: object): value is Failed => "error" in value;

export interface Row {
  readonly model: string;
  readonly choices: Readonly<Record<AxisName, string>>;
  /** Names the result, and its seconds. */
  readonly task: string;
  readonly outcome: Measured | Failed;
}
