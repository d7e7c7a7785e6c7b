// The columns of the table of methods. A method is a row of them; nothing else distinguishes AdaRound from QDrop.
import type { WeightRange } from "../formats/weights.ts";
import type { GramMethod } from "./gram/round.ts";
import type { OptimizerName } from "./optimizers.ts";
import type { Temperature } from "./schedules.ts";

/** What is learned about a weight. */
export type ParametrizationName = "nearest" | "sigmoid" | "division" | "power";

/** A soft function from a free variable to a rounding in [0, 1] (relaxations.ts), and what drives it to the ends. */
export type RelaxationName = "rectifiedSigmoid" | "sigmoid" | "clippedLine" | "tanh" | "cosine";
export type RegularizerName = "power" | "quadratic" | "none";

/** Cells of learned roundings; what is absent stays as published by Nagel et al. 2020. */
export interface Rounding {
  readonly relaxation?: RelaxationName | undefined;
  readonly regularizer?: RegularizerName | undefined;
  /** Share of the weights that are learned: those nearest the middle between two codes. */
  readonly subset?: number | undefined;
  /** How many codes further than up or down a weight may move (0). */
  readonly displacement?: number | undefined;
}

/** How an output is compared (objectives.ts); by default Σ over channels of |d|^p. */
export type DistanceName = "output-mse" | "mse" | "mae" | "huber" | "nmse" | "cosine" | "output-kl" | "lp";

export type ObjectiveName = "output" | "fisher" | "prediction";

/** How far an output is from its target. */
export type Objective =
  /** Σ over channels of |d|^p, averaged over samples and positions. */
  | { readonly kind: "output"; readonly p: number; readonly loss?: DistanceName | undefined }
  /** Squares weighted by G², G = |∂KL/∂output| + 1 of the network's answer through the float suffix, taken once before learning. */
  | { readonly kind: "fisher"; readonly p: 2; readonly temperature: number }
  /** The first plus `weight` times the KL divergence of the network's answer through the float suffix, softened by a temperature. */
  | {
      readonly kind: "prediction";
      readonly p: number;
      readonly loss?: DistanceName | undefined;
      readonly weight: number;
      readonly temperature: number;
    };

/** What is learned together: one layer with its activation, a block (graph/units.ts), or neighbouring blocks of one resolution. */
export type ScopeName = "layer" | "block" | "stage";

/** Activations while weights are learned. */
export type Activations =
  /** Float: weights see only each other's errors. */
  | { readonly kind: "float" }
  /** Quantized where the integer program will, each element with probability `keep` (1: all), step sizes learned at `rate`. */
  | { readonly kind: "quantized"; readonly keep: number; readonly rate: number; readonly scaled: boolean };

export interface Schedule {
  readonly iterations: number;
  readonly batch: number;
  readonly optimizer: OptimizerName;
  /** Learning rate of what the parametrization learns, and its course. */
  readonly rate: number;
  readonly course: "constant" | "cosine";
  /** Weight of the rounding regularizer. */
  readonly lambda: number;
  readonly temperature: Temperature;
  readonly replacement: boolean;
}

/** Learning rates at the start: of codes in steps of their grid, of all others as shares of what they are. */
export interface Rates {
  readonly codes: number;
  readonly scales: number;
  readonly biases: number;
  readonly steps: number;
}

/** How a network is learned as a whole (network/distill.ts). */
export interface NetworkMethod {
  /** Seconds of the machine that network/budget.ts describes; or the number of steps itself. */
  readonly budget: number;
  readonly iterations?: number | undefined;
  readonly batch: number;
  readonly rates: Rates;
  /** Of the answers' softmax. */
  readonly temperature: number;
  /** Weight of the errors at the ends of blocks, beside the answer's. */
  readonly featureWeight: number;
  /** Share of samples that are mixed with another one. */
  readonly mix: number;
}

/** A row of the method table: every column can be overridden. */
export interface Method {
  readonly parametrization: ParametrizationName;
  readonly objective: Objective;
  readonly scope: ScopeName;
  readonly activations: Activations;
  readonly schedule: Schedule;
  /** How the grids of weights of at most 7 bits are found. */
  readonly weightRange: WeightRange;
  /** Share of quantized elements in a unit's input while it learns; the others are the float network's. 1: the quantized prefix alone. */
  readonly inputKeep: number;
  readonly rounding?: Rounding | undefined;
  /** Where roundings start: at the weights, or at the codes that the network has. */
  readonly start?: "weights" | "codes" | undefined;
  /** Outputs are compared after a part's last activation, or before it. */
  readonly compared?: "after" | "before" | undefined;
  /** Noise on a part's inputs, of up to this share of a sample's largest magnitude. */
  readonly noise?: number | undefined;
  /** Calibration samples count a second time, moved and mirrored. */
  readonly moved?: boolean | undefined;
  /** Steps of learning the activations' step sizes after all weights, as released by Li et al. 2021 (BRECQ). */
  readonly activationPhase?: number | undefined;
  /** The network is learned as a whole after its parts. */
  readonly network?: NetworkMethod | undefined;
  /** Codes from Gram matrices, without gradients: the cells of the schedule then stay unused. */
  readonly gram?: Partial<GramMethod> | undefined;
}
