import type { Encoding } from "../formats/encoding.ts";
import type { Graph } from "../graph/types.ts";
import type { Preprocessing } from "../data/types.ts";

/** Where a quantizer sits on an activation. */
export interface Site {
  readonly value: string;
  /** Sites of one group share scale and zero point (inputs and outputs of pass-through operators). The group's name is its first value. */
  readonly group: string;
  /** The 8-bit code of a residual branch: used by `residual: codes` and by QDQ files, left out of a plan with `residual: wide`. */
  readonly branch: boolean;
  /** Bits 2…8. */
  readonly bits: number;
  /** A file put it here: everything behind is computed from its codes, though a longer table or fusion could start further up. */
  readonly ends?: boolean | undefined;
}

/** The integer codes of one weight tensor. `codes` has the tensor's dims, row-major; symmetric 8-bit codes stay within ±127. */
export interface QuantizedWeight {
  readonly encoding: Encoding;
  readonly dims: readonly number[];
  readonly codes: Int8Array;
}

/** How stored numbers v become codes, code = v + zero, and what they mean. */
export interface PixelCodes {
  /** −128 for bytes, 0 for signed ones. */
  readonly zero: number;
  readonly step: number;
  /** Of each channel, or one for all; in units of v. */
  readonly means: readonly number[];
  readonly gains: readonly number[];
}

/** What a plan needs to take stored numbers. */
export interface PixelInput extends PixelCodes {
  /** The network's input, and what operators that only move codes make of it. */
  readonly values: readonly string[];
  /** Codes of W · gain, by name of the nodes that read one of `values`. */
  readonly weights: ReadonlyMap<string, QuantizedWeight>;
  /** int32 codes of scale step · s_w, where a method has chosen them. */
  readonly biases?: ReadonlyMap<string, Int32Array> | undefined;
}

/** graph + quantizer sites + encodings + codes: what calibration and reconstruction produce, and plan and ONNX files are written from. */
export interface Quantized {
  /** The prepared float graph. */
  readonly graph: Graph;
  readonly sites: readonly Site[];
  /** By value name. 8-bit activations are unsigned codes 0…255 here (as QDQ files show them); lowering subtracts 128. */
  readonly activations: ReadonlyMap<string, Encoding>;
  /** By name of the node that multiplies with it (Conv, ConvTranspose, Gemm, MatMul). */
  readonly weights: ReadonlyMap<string, QuantizedWeight>;
  /** int32 codes of scale s_x·s_w by name of the weighted node, where a file fixes them; others are rounded from the graph's constants. */
  readonly biases?: ReadonlyMap<string, Int32Array> | undefined;
  /** Where the network can take numbers as they are stored: used by plans with `residual: wide`. */
  readonly pixels?: PixelInput | undefined;
  /** Names of nodes kept in float: possible in an ONNX file, refused for a plan. */
  readonly excluded: readonly string[];
  readonly provenance: Provenance;
}

/** What became of one part. Losses are means over the samples of Σ over channels of squares, everything hardened and quantized. */
export interface PartReport {
  readonly name: string;
  readonly weights: readonly string[];
  readonly lossBefore: number;
  readonly lossAfter: number;
  /** The same sum of the float output itself: what the losses are small against. */
  readonly signal: number;
  readonly elements: number;
  /** Codes that are not the nearest ones. */
  readonly moved: number;
  /** Roundings that learning left open. */
  readonly undecided: number;
}

/** Left out of comparisons between plans. */
export interface Provenance {
  readonly source: string;
  /** sha-256 of the model file, hexadecimal */
  readonly sourceHash: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly seed: number;
  readonly preprocessing?: Preprocessing | undefined;
  readonly labels?: readonly string[] | undefined;
  /** What learning made of each part. */
  readonly parts?: readonly PartReport[] | undefined;
}
