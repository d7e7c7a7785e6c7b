// What learning takes and gives.
import type { Tensor } from "../graph/types.ts";
import type { PartReport, Quantized } from "../quantized/types.ts";
import type { Crew } from "./gradients.ts";
import type { Hardened } from "./parametrizations/types.ts";

/** Calibration samples as the model's input. */
export interface SampleSource {
  readonly length: number;
  /** Samples first … first + count − 1, [count, …]. */
  read(first: number, count: number): Promise<Tensor>;
}

/** What a killed run continues from: a part's result. */
export interface Checkpoint {
  readonly weights: ReadonlyMap<string, Hardened>;
  readonly scales: ReadonlyMap<string, number>;
  readonly undecided: number;
}

/** Where finished parts are kept, so that a run that was stopped continues: a folder, OPFS, a map. */
export interface CheckpointStore {
  /** The part with this key, if it was saved. */
  load(part: number): Promise<Checkpoint | undefined>;
  /** Keeps a part whole, or not at all. */
  save(part: number, checkpoint: Checkpoint): Promise<void>;
}

/** What `reconstruct` does beyond its method: seed, checkpoints, callbacks. */
export interface ReconstructOptions {
  readonly seed?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after every step of learning. */
  readonly onStep?: ((part: number, parts: number, step: number, steps: number) => void) | undefined;
  /** Called when a part has been learned. */
  readonly onPart?: ((report: PartReport, part: number, parts: number) => void) | undefined;
  readonly checkpoints?: CheckpointStore | undefined;
  /** Workers to share the steps; the result is the same without. */
  readonly crew?: Crew | undefined;
  /** A compiled float.wasm. */
  readonly module?: WebAssembly.Module | undefined;
}

/** The learned network and what each of its parts gained. */
export interface Reconstruction {
  readonly quantized: Quantized;
  readonly parts: readonly PartReport[];
}
