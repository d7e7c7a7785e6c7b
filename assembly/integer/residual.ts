// Epilogues that add a residual branch before the one rounding, in 64 bits, and the epilogue that keeps accumulators.
import { roundEven, toCodes } from "../simd/lanes";
import { saturate, scatter, shiftEven } from "./requantize";

/**
 * y = zero + round_even((acc · q1 + (r << lift) · q2) · 2^−t), saturated to int8; r = code − residualZero.
 *
 * @param acc       int32[channels / 8][…pixels][8]; overwritten where a panel is partial
 * @param pixels    at least 1
 * @param residual  int8[pixels][residualPitch]
 * @param constants per panel: q1, q2, int32[8] each
 * @param t         in [32, 62]; the sum and 2^(t−1) stay below 2⁶³ together
 * @param lift      in [0, 22]
 */
export function residualCodes(
  acc: usize,
  panelPitch: i32,
  out: usize,
  pitch: i32,
  pixels: i32,
  channels: i32,
  constants: usize,
  t: i32,
  zero: i32,
  residual: usize,
  residualPitch: i32,
  residualZero: i32,
  lift: i32,
): void {
  const half = i64x2.splat((<i64>1) << (t - 1));
  const shift = t - 32;
  const mask = i32x4.splat((1 << shift) - 1);
  const one = i32x4.splat(1);
  const zeros = i16x8.splat(<i16>zero);
  const residualZeros = i16x8.splat(<i16>residualZero);
  const factor = i32x4.splat(1 << lift);
  for (let c = 0; c < channels; c += 8, acc += panelPitch, out += 8, residual += 8, constants += 64) {
    const whole = channels - c >= 8;
    const step = whole ? pitch : 32;
    let from = acc;
    let to = whole ? out : acc;
    let other = residual;
    const end = acc + (pixels << 5);
    do {
      const r = i16x8.sub(v128.load8x8_s(other), residualZeros);
      const r0 = sumEven(v128.load(from), constants, i32x4.mul(i32x4.extend_low_i16x8_s(r), factor), half, shift, mask, one);
      const r1 = sumEven(v128.load(from, 16), constants + 16, i32x4.mul(i32x4.extend_high_i16x8_s(r), factor), half, shift, mask, one);
      v128.store64_lane(to, toCodes(r0, r1, zeros), 0);
      from += 32;
      to += step;
      other += residualPitch;
    } while (from != end);
    if (!whole) scatter(acc, out, pitch, pixels, channels - c);
  }
}

/**
 * The same with the int32 accumulators of another convolution.
 *
 * @param residual int32[pixels][residualPitch bytes]
 */
export function residualAccumulators(
  acc: usize,
  panelPitch: i32,
  out: usize,
  pitch: i32,
  pixels: i32,
  channels: i32,
  constants: usize,
  t: i32,
  zero: i32,
  residual: usize,
  residualPitch: i32,
): void {
  const half = i64x2.splat((<i64>1) << (t - 1));
  const shift = t - 32;
  const mask = i32x4.splat((1 << shift) - 1);
  const one = i32x4.splat(1);
  const zeros = i16x8.splat(<i16>zero);
  for (let c = 0; c < channels; c += 8, acc += panelPitch, out += 8, residual += 32, constants += 64) {
    const whole = channels - c >= 8;
    const step = whole ? pitch : 32;
    let from = acc;
    let to = whole ? out : acc;
    let other = residual;
    const end = acc + (pixels << 5);
    do {
      const r0 = sumEven(v128.load(from), constants, v128.load(other), half, shift, mask, one);
      const r1 = sumEven(v128.load(from, 16), constants + 16, v128.load(other, 16), half, shift, mask, one);
      v128.store64_lane(to, toCodes(r0, r1, zeros), 0);
      from += 32;
      to += step;
      other += residualPitch;
    } while (from != end);
    if (!whole) scatter(acc, out, pitch, pixels, channels - c);
  }
}

function sumEven(x: v128, constants: usize, r: v128, half: v128, shift: i32, mask: v128, one: v128): v128 {
  const q1 = v128.load(constants);
  const q2 = v128.load(constants, 32);
  const p0 = i64x2.add(i64x2.extmul_low_i32x4_s(x, q1), i64x2.extmul_low_i32x4_s(r, q2));
  const p1 = i64x2.add(i64x2.extmul_high_i32x4_s(x, q1), i64x2.extmul_high_i32x4_s(r, q2));
  return roundEven(p0, p1, half, shift, mask, one);
}

/**
 * Any multipliers and number of bits, in 64-bit scalars.
 *
 * @param constants per panel: q1, q2, int32[8] each
 * @param bits      in [1, 62]
 * @param wide      0: int8 residual codes; 1: int32 accumulators (residualZero 0)
 */
export function residualAny(
  acc: usize,
  panelPitch: i32,
  out: usize,
  pitch: i32,
  pixels: i32,
  channels: i32,
  constants: usize,
  bits: i32,
  zero: i32,
  residual: usize,
  residualPitch: i32,
  residualZero: i32,
  wide: i32,
): void {
  for (let c = 0; c < channels; c++) {
    const lane = (c & 7) << 2;
    const row = constants + ((c >> 3) << 6) + lane;
    const q1 = <i64>load<i32>(row);
    const q2 = <i64>load<i32>(row, 32);
    let from = acc + (c >> 3) * panelPitch + lane;
    let other = residual + (wide ? c << 2 : c);
    for (let p = 0, to = out + c; p < pixels; p++, from += 32, to += pitch, other += residualPitch) {
      const r = (wide ? load<i32>(other) : <i32>load<i8>(other)) - residualZero;
      const y = shiftEven(<i64>load<i32>(from) * q1 + <i64>r * q2, bits) + zero;
      store<i8>(to, saturate(y));
    }
  }
}

/**
 * Accumulators as they are, from panels to rows.
 *
 * @param out   int32[pixels][pitch bytes]
 */
export function storeAccumulators(acc: usize, panelPitch: i32, out: usize, pitch: i32, pixels: i32, channels: i32): void {
  for (let c = 0; c < channels; c += 8, acc += panelPitch, out += 32) {
    let from = acc;
    let to = out;
    const lanes = min(channels - c, 8);
    for (let p = 0; p < pixels; p++, from += 32, to += pitch) {
      if (lanes == 8) {
        v128.store(to, v128.load(from));
        v128.store(to, v128.load(from, 16), 16);
      } else {
        for (let i = 0; i < lanes << 2; i += 4) store<i32>(to + i, load<i32>(from + i));
      }
    }
  }
}
