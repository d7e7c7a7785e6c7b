// Epilogues: int32 accumulators in panels of 8 channels → codes. The accumulators come through memory on purpose: in V8 the register
// pressure of an epilogue in the same function reaches back into the k loop and halves it.
//
// The vector forms need one rounding shift t ≥ 32 for all channels. The caller makes it so: q · 2^−tᶜ = before · multiplier · 2^−t
// with a power of two `before` by which the accumulator is multiplied first (it knows the accumulator's bound, so this is exact).
import { roundEven, roundUp, storeBytes, toCodes } from "../simd/lanes";

/**
 * y = zero + round(acc · before · multiplier · 2^−t), halves towards +∞, clamped to [lo, hi].
 *
 * @param acc        int32[channels / 8][…pixels][8]; panelPitch bytes between panels
 * @param out        int8[pixels][pitch]
 * @param channels   written per pixel; the last panel may be partial
 * @param constants  per panel: before int32[8], multiplier int32[8]; |acc · before| < 2³¹
 * @param t          in [32, 62]
 */
export function requantizeSingle(
  acc: usize,
  panelPitch: i32,
  out: usize,
  pitch: i32,
  pixels: i32,
  channels: i32,
  constants: usize,
  t: i32,
  zero: i32,
  lo: i32,
  hi: i32,
): void {
  const half = i64x2.splat((<i64>1) << (t - 1));
  const shift = t - 32;
  const zeros = i16x8.splat(<i16>zero);
  const low = i8x16.splat(<i8>lo);
  const high = i8x16.splat(<i8>hi);
  for (let c = 0; c < channels; c += 8, acc += panelPitch, out += 8, constants += 64) {
    const b0 = v128.load(constants);
    const b1 = v128.load(constants, 16);
    const q0 = v128.load(constants, 32);
    const q1 = v128.load(constants, 48);
    let from = acc;
    let to = out;
    for (let p = 0; p < pixels; p++, from += 32, to += pitch) {
      const x0 = i32x4.mul(v128.load(from), b0);
      const x1 = i32x4.mul(v128.load(from, 16), b1);
      const r0 = roundUp(i64x2.extmul_low_i32x4_s(x0, q0), i64x2.extmul_high_i32x4_s(x0, q0), half, shift);
      const r1 = roundUp(i64x2.extmul_low_i32x4_s(x1, q1), i64x2.extmul_high_i32x4_s(x1, q1), half, shift);
      const codes = toCodes(r0, r1, zeros, low, high);
      if (channels - c >= 8) v128.store64_lane(to, codes, 0);
      else storeBytes(to, codes, channels - c);
    }
  }
}

/**
 * The same for t = 48: results are the high 16 bits of the products, and the half, 2¹⁵ of a high word, brings the zero point with it.
 * Where it can be had this is the fastest form: shifts by a variable go through a scalar register.
 *
 * @param constants per panel: before int32[8], multiplier int32[8]; |acc · before| < 2³⁰
 */
export function requantizeHigh(
  acc: usize,
  panelPitch: i32,
  out: usize,
  pitch: i32,
  pixels: i32,
  channels: i32,
  constants: usize,
  zero: i32,
  lo: i32,
  hi: i32,
): void {
  const half = i32x4.splat((zero << 16) + 0x8000);
  const low = i8x16.splat(<i8>lo);
  const high = i8x16.splat(<i8>hi);
  for (let c = 0; c < channels; c += 8, acc += panelPitch, out += 8, constants += 64) {
    const b0 = v128.load(constants);
    const b1 = v128.load(constants, 16);
    const q0 = v128.load(constants, 32);
    const q1 = v128.load(constants, 48);
    let from = acc;
    let to = out;
    for (let p = 0; p < pixels; p++, from += 32, to += pitch) {
      const words = i16x8.narrow_i32x4_s(highHalf(v128.load(from), b0, q0, half), highHalf(v128.load(from, 16), b1, q1, half));
      const codes = i8x16.min_s(i8x16.max_s(i8x16.narrow_i16x8_s(words, words), low), high);
      if (channels - c >= 8) v128.store64_lane(to, codes, 0);
      else storeBytes(to, codes, channels - c);
    }
  }
}

function highHalf(acc: v128, before: v128, q: v128, half: v128): v128 {
  const x = i32x4.mul(acc, before);
  const high = v128.shuffle<i32>(i64x2.extmul_low_i32x4_s(x, q), i64x2.extmul_high_i32x4_s(x, q), 1, 3, 5, 7);
  return i32x4.shr_s(i32x4.add(high, half), 16);
}

/** The same as requantizeSingle, halves to even. */
export function requantizeEven(
  acc: usize,
  panelPitch: i32,
  out: usize,
  pitch: i32,
  pixels: i32,
  channels: i32,
  constants: usize,
  t: i32,
  zero: i32,
  lo: i32,
  hi: i32,
): void {
  const half = i64x2.splat((<i64>1) << (t - 1));
  const shift = t - 32;
  const mask = i32x4.splat((1 << shift) - 1);
  const one = i32x4.splat(1);
  const zeros = i16x8.splat(<i16>zero);
  const low = i8x16.splat(<i8>lo);
  const high = i8x16.splat(<i8>hi);
  for (let c = 0; c < channels; c += 8, acc += panelPitch, out += 8, constants += 64) {
    const b0 = v128.load(constants);
    const b1 = v128.load(constants, 16);
    const q0 = v128.load(constants, 32);
    const q1 = v128.load(constants, 48);
    let from = acc;
    let to = out;
    for (let p = 0; p < pixels; p++, from += 32, to += pitch) {
      const x0 = i32x4.mul(v128.load(from), b0);
      const x1 = i32x4.mul(v128.load(from, 16), b1);
      const r0 = roundEven(i64x2.extmul_low_i32x4_s(x0, q0), i64x2.extmul_high_i32x4_s(x0, q0), half, shift, mask, one);
      const r1 = roundEven(i64x2.extmul_low_i32x4_s(x1, q1), i64x2.extmul_high_i32x4_s(x1, q1), half, shift, mask, one);
      const codes = toCodes(r0, r1, zeros, low, high);
      if (channels - c >= 8) v128.store64_lane(to, codes, 0);
      else storeBytes(to, codes, channels - c);
    }
  }
}

/**
 * Any multipliers and shifts, channel by channel in 64-bit scalars: the way out when the vector forms' bounds do not hold.
 *
 * @param constants per panel: multiplier int32[8], t = 31 − shift int32[8], t in [1, 62]
 * @param mode      0: once, halves to even; 1: once, halves towards +∞; 2: gemmlowp's two roundings (TensorFlow Lite's default)
 */
export function requantizeAny(
  acc: usize,
  panelPitch: i32,
  out: usize,
  pitch: i32,
  pixels: i32,
  channels: i32,
  constants: usize,
  mode: i32,
  zero: i32,
  lo: i32,
  hi: i32,
): void {
  for (let c = 0; c < channels; c++) {
    const lane = (c & 7) << 2;
    let from = acc + (c >> 3) * panelPitch + lane;
    const row = constants + ((c >> 3) << 6) + lane;
    const q = <i64>load<i32>(row);
    const t = load<i32>(row, 32);
    for (let p = 0, to = out + c; p < pixels; p++, from += 32, to += pitch) {
      const x = load<i32>(from);
      const r = mode == 2 ? <i64>twice(x, <i32>q, 31 - t) : mode == 1 ? shiftUp(<i64>x * q, t) : shiftEven(<i64>x * q, t);
      store<i8>(to, <i8>min(max(r + zero, <i64>lo), <i64>hi));
    }
  }
}

function shiftUp(p: i64, t: i32): i64 {
  return (p + ((<i64>1) << (t - 1))) >> t;
}

export function shiftEven(p: i64, t: i32): i64 {
  const s = p + ((<i64>1) << (t - 1));
  const r = s >> t;
  return (s & (((<i64>1) << t) - 1)) == 0 ? r & ~1 : r;
}

/** RoundingDivideByPOT(SaturatingRoundingDoublingHighMul(x · 2^max(shift, 0), q), max(−shift, 0)). */
function twice(x: i32, q: i32, shift: i32): i32 {
  const a = x << max(shift, 0);
  const product = <i64>a * <i64>q;
  const nudge: i64 = product >= 0 ? 1 << 30 : 1 - (1 << 30);
  const doubled = a == q && a == i32.MIN_VALUE ? i32.MAX_VALUE : <i32>((product + nudge) / ((<i64>1) << 31));
  const k = max(-shift, 0);
  const mask = <i32>(((<i64>1) << k) - 1);
  return (doubled >> min(k, 31)) + i32((doubled & mask) > (mask >> 1) + i32(doubled < 0));
}
