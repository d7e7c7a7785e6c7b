// What a way of learning weights must offer. Its arithmetic runs in float.wasm on rows of one scale each.
import type { FloatKernels } from "../../engine/kernels.ts";
import type { RegularizerName, RelaxationName } from "../methods.ts";
import type { OptimizerName, StepNumbers } from "../optimizers.ts";

/** Where learned state lies: a float engine's linear memory. */
export interface Home {
  readonly kernels: FloatKernels;
  /** Current view; ends with the next allocation. */
  readonly f32: Float32Array;
  /** @throws HalftoneError OUT_OF_MEMORY */
  allocate(bytes: number): number;
  release(ptr: number): void;
}

/** A weight tensor as [rows][columns], a row for each output channel, and the grid its nearest codes lie on. */
export interface WeightGrid {
  readonly rows: number;
  readonly columns: number;
  /** W */
  readonly values: Float32Array;
  /** One per row: s, least and greatest code minus zero point, zero point. */
  readonly scale: Float32Array;
  readonly low: Float32Array;
  readonly high: Float32Array;
  readonly zero: Int32Array;
  /** Neighbouring columns of one input channel: kh · kw of a convolution, else 1. */
  readonly taps: number;
  readonly convolution: boolean;
  /** True where all rows share one scale. */
  readonly perTensor: boolean;
}

/** What changes from step to step. */
export interface LearningStep {
  /** The optimizer's numbers for the learning rate of V (or of the factors' logarithms). */
  readonly numbers: StepNumbers;
  /** Weight of the rounding regularizer (0 while warming up) and its exponent. */
  readonly lambda: number;
  readonly exponent: number;
  /** Share of the steps that are done, in [0, 1). */
  readonly progress: number;
}

/** Codes at the end of learning: real = scale · (code − zero point), or scale · levels[code]; one scale a row. */
export interface Hardened {
  readonly codes: Int8Array;
  readonly scale: Float32Array;
  readonly levels?: Int8Array | undefined;
}

/** One weight tensor while it is learned. */
export interface WeightLearner {
  /** Writes the present Ŵ, float32[rows][columns]. */
  write(ptr: number): void;
  /** One step, given ∂L/∂Ŵ at `gradient`, of the Ŵ that was last written. */
  step(gradient: number, step: LearningStep): void;
  /** Elements whose rounding is not settled yet. */
  undecided(): number;
  harden(): Hardened;
  /** Gives its memory back. */
  release(): void;
}

/** Choices within a way of learning; what is absent stays as published. Rows that know nothing of one pass over it. */
export interface LearnerOptions {
  readonly relaxation?: RelaxationName | undefined;
  readonly regularizer?: RegularizerName | undefined;
  readonly optimizer?: OptimizerName | undefined;
  /** Share of the weights that are learned: those nearest the middle between two codes. */
  readonly subset?: number | undefined;
  /** How many codes further than up or down a weight may move. */
  readonly displacement?: number | undefined;
  /** Codes to start at. */
  readonly start?: Hardened | undefined;
}

/** A row of the table of parametrizations. */
export interface Parametrization {
  start(home: Home, grid: WeightGrid, options?: LearnerOptions): WeightLearner;
}

/** Arrays in a home's memory, released together. */
export class Arrays {
  readonly home: Home;
  readonly #taken: number[] = [];

  constructor(home: Home) {
    this.home = home;
  }

  /** A copy of values. */
  put(values: Float32Array): number {
    const ptr = this.zeros(values.length);
    this.home.f32.set(values, ptr / 4);
    return ptr;
  }

  zeros(n: number): number {
    const ptr = this.home.allocate(n * 4 + 16);
    this.home.f32.fill(0, ptr / 4, ptr / 4 + n + 4);
    this.#taken.push(ptr);
    return ptr;
  }

  /** Current view of n floats. */
  view(ptr: number, n: number): Float32Array {
    return this.home.f32.subarray(ptr / 4, ptr / 4 + n);
  }

  release(): void {
    for (const ptr of this.#taken.splice(0)) this.home.release(ptr);
  }
}
