// What goes into a session and what comes out of it.

/** Real numbers, codes (Int8Array), or stored bytes that the plan's preprocessing makes real; row-major in the model's axes. */
export type InputData = Float32Array | Int8Array | Uint8Array | Uint8ClampedArray;

/** The browser's ImageData: rows of RGBA pixels. Alpha is left out. */
export interface ImageLike {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray | Uint8Array;
}

/** One sample or several: a bare array is one sample, or n of them one after the other; `dims` may have a leading batch axis. */
export type InputTensor = InputData | { readonly dims: readonly number[]; readonly data: InputData } | ImageLike | readonly ImageLike[];

/** By name, or alone where the plan has one input. */
export type Inputs = InputTensor | Readonly<Record<string, InputTensor>>;

/** One output of a run: integers, and what they mean. */
export interface OutputTensor {
  readonly name: string;
  /** Of the model, behind the batch axis where the input had one. */
  readonly dims: readonly number[];
  /** int8 codes, or int32 accumulators. */
  readonly codes: Int8Array | Int32Array;
  /** real = scale · (code − zeroPoint); one scale, or one per channel of int32. */
  readonly scale: readonly number[];
  readonly zeroPoint: number;
  /** The real numbers, computed when first asked for. */
  readonly values: Float32Array;
}

/** By the names of the model's outputs. */
export type Outputs = Readonly<Record<string, OutputTensor>>;
