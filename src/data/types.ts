/** x = (v · scale − mean) / std per channel, after resize (short side) and centre crop; v is the stored number (a byte of an image, an npy element). */
export interface Preprocessing {
  /** Short side in pixels after resizing, or [height, width] whatever the aspect, or absent for none. */
  readonly resize?: number | readonly [number, number] | undefined;
  /** Centre crop [height, width] in pixels. */
  readonly crop?: readonly [number, number] | undefined;
  readonly scale: number;
  /** One number per channel, or one for all. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** One stored sample, not decoded: what a task receives, so that workers share the decoding. */
export interface RawSample {
  /** Where it came from, for messages: "val/cat/7.jpg", "test.bin record 12". */
  readonly place: string;
  readonly bytes: Uint8Array;
  /** How `bytes` is to be read. */
  readonly format: SampleFormat;
  /** Class index, or −1 when unknown. */
  readonly label: number;
}

export type SampleFormat =
  | { readonly kind: "jpeg" }
  | { readonly kind: "png" }
  /** Planes of bytes [channels, height, width] (CIFAR, IDX). */
  | { readonly kind: "planes"; readonly dims: readonly [number, number, number] }
  /** A row of an npy file, little-endian. */
  | {
      readonly kind: "array";
      readonly dtype: "int8" | "uint8" | "int16" | "int32" | "float32" | "float64";
      readonly dims: readonly number[];
    };

/** A finite, re-readable sequence of samples; nothing is held in memory but what is asked for. */
export interface Dataset {
  readonly name: string;
  readonly length: number;
  readonly classes?: readonly string[] | undefined;
  readonly labelled: boolean;
  /** Samples start…end−1 (end ≤ length). */
  read(start: number, end: number): Promise<RawSample[]>;
}

/** A decoded and preprocessed sample, row-major in the model's axes without the batch: [C,H,W] for images, an npy row's own dims. */
export interface Sample {
  readonly dims: readonly number[];
  readonly values: Float32Array;
  readonly label: number;
}
