// Uniform affine quantization: x ≈ s · (c − z), c = clamp(rne(x / s) + z, lo, hi).
// Source: Jacob et al. 2018 (affine codes), with division and ties to even as in ONNX QuantizeLinear.

import { assert } from "../errors.ts";
import { clamp, divide32, roundHalfEven } from "./rounding.ts";
import type { Encoding, Granularity } from "./encoding.ts";
import { runsOf } from "./granularity.ts";

/** The codes that a linear format may use. `symmetric` fixes the zero point at 0 and makes the range even around it. */
export interface CodeRange {
  /** 1…8 */
  readonly bits: number;
  readonly lo: number;
  readonly hi: number;
  readonly symmetric: boolean;
}

/** Real numbers from `min` to `max`. */
export interface Interval {
  readonly min: number;
  readonly max: number;
}

/** Scale and zero point of one tensor, channel or group. */
export interface LinearParameters {
  /** A float32 number, positive. */
  readonly scale: number;
  readonly zeroPoint: number;
}

/** 0 … 2^bits − 1 with a zero point: activations, and affine weights of at most 7 bits. */
export function unsignedCodes(bits: number): CodeRange {
  return { bits, lo: 0, hi: (1 << bits) - 1, symmetric: false };
}

/** −2^(bits−1) … 2^(bits−1) − 1 with a zero point: int8 activations. */
export function signedCodes(bits: number): CodeRange {
  return { bits, lo: -(1 << (bits - 1)), hi: (1 << (bits - 1)) - 1, symmetric: false };
}

/**
 * Two's complement around zero point 0. At 8 bits −128 is left out (kernels add two products of int8 weights in int16);
 * below, all codes are used and the largest magnitude lies half a step outside (as in GPTQ and QDrop).
 */
export function symmetricCodes(bits: number): CodeRange {
  const hi = (1 << (bits - 1)) - 1;
  return { bits, lo: bits === 8 ? -hi : -hi - 1, hi, symmetric: true };
}

/** The least scale: a channel of denormal weights must not drive an int32 bias out of range. */
const leastScale = 1e-8;

/**
 * Scale and zero point that cover an interval. Zero is always representable, since padding and ReLU need it exactly:
 * the interval is widened to include it, and the zero point is rounded and kept within the codes.
 * An interval that holds nothing but 0 gets scale 1: any scale is right there, and 1 is harmless.
 */
export function linearParameters(range: Interval, codes: CodeRange): LinearParameters {
  const { lo, hi } = codes;
  const min = Math.min(range.min, 0);
  const max = Math.max(range.max, 0);
  if (min === 0 && max === 0) return { scale: 1, zeroPoint: codes.symmetric ? 0 : lo };
  if (codes.symmetric) {
    return { scale: storedScale(Math.max(-min, max) / ((hi - lo) / 2)), zeroPoint: 0 };
  }
  const scale = storedScale((max - min) / (hi - lo));
  return { scale, zeroPoint: clamp(lo - roundHalfEven(min / scale), lo, hi) };
}

function storedScale(scale: number): number {
  return Math.fround(Math.max(scale, leastScale));
}

/** An encoding from one set of parameters per tensor, channel or group, in row-major order of the scales. */
export function linearEncoding(codes: CodeRange, granularity: Granularity, parameters: readonly LinearParameters[]): Encoding {
  return {
    bits: codes.bits,
    levels: { kind: "linear", lo: codes.lo, hi: codes.hi },
    granularity,
    scale: Float32Array.from(parameters, (each) => each.scale),
    scaleKind: "real",
    zeroPoint: Int32Array.from(parameters, (each) => each.zeroPoint),
  };
}

/** The encoding of an activation: one scale for the whole tensor. */
export function tensorEncoding(range: Interval, codes: CodeRange): Encoding {
  return linearEncoding(codes, { kind: "tensor" }, [linearParameters(range, codes)]);
}

/** One code: the meaning of every linear kernel. x and s are float32 numbers. */
export function quantizeOne(x: number, s: number, z: number, lo: number, hi: number): number {
  return clamp(roundHalfEven(divide32(x, s)) + z, lo, hi);
}

/**
 * Codes of a tensor in a linear encoding, written into `codes`: the plain reference of the SIMD kernels.
 *
 * @param values [dims], row-major
 * @param codes  same length, of a type that holds lo…hi
 */
export function encodeLinear<T extends Int8Array | Uint8Array | Int16Array>(
  values: Float32Array,
  dims: readonly number[],
  encoding: Encoding,
  codes: T,
): T {
  const { levels, scale, zeroPoint } = encoding;
  assert(levels.kind === "linear", "encodeLinear is given linear levels");
  for (const { start, count, stride, index } of runsOf(dims, encoding.granularity)) {
    const s = scale[index]!;
    const z = zeroPoint[index]!;
    for (let i = 0, at = start; i < count; i++, at += stride) codes[at] = quantizeOne(values[at]!, s, z, levels.lo, levels.hi);
  }
  return codes;
}

/** Real numbers of codes, float32: scale · (level(code) − zero point), rounded once. Linear and table levels alike. */
export function decodeCodes(codes: ArrayLike<number>, dims: readonly number[], encoding: Encoding): Float32Array<ArrayBuffer> {
  const { levels, scale, zeroPoint } = encoding;
  const values = new Float32Array(codes.length);
  for (const { start, count, stride, index } of runsOf(dims, encoding.granularity)) {
    const s = scale[index]!;
    const z = zeroPoint[index]!;
    for (let i = 0, at = start; i < count; i++, at += stride) {
      const level = levels.kind === "linear" ? codes[at]! : levels.levels[codes[at]!]!;
      values[at] = (level - z) * s;
    }
  }
  return values;
}
