// How codes stand for real numbers: real = scale · (level(code) − zero point). A format is a row; nothing branches on its name.

/** Codes lo…hi count evenly; level(code) = code. */
export interface LinearLevels {
  readonly kind: "linear";
  readonly lo: number;
  readonly hi: number;
}

/** At most 256 integer levels; level(code) = levels[code]. */
export interface TableLevels {
  readonly kind: "table";
  readonly levels: Int8Array | Int16Array;
}

export type Levels = LinearLevels | TableLevels;

/** Which elements share one scale: all, those of one index of `axis`, or `size` neighbours along `axis`. */
export type Granularity =
  | { readonly kind: "tensor" }
  | { readonly kind: "channel"; readonly axis: number }
  | { readonly kind: "group"; readonly axis: number; readonly size: number };

/** The encoding of one value or weight. `scale` and `zeroPoint` have one element per tensor, channel or group (row-major). */
export interface Encoding {
  /** 1…16 */
  readonly bits: number;
  readonly levels: Levels;
  readonly granularity: Granularity;
  /** float32, as files store it; never 0 */
  readonly scale: Float32Array;
  readonly scaleKind: "real" | "power-of-two" | "e8m0" | "two-level";
  readonly zeroPoint: Int32Array;
}
