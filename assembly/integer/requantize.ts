// Epilogues: int32 accumulators in panels of 8 channels → codes, saturated to int8. The accumulators come through memory on purpose: in V8
// the register pressure of an epilogue in the same function reaches back into the k loop and halves it.
//
// The vector forms need one rounding shift t > 32 for all channels. The caller makes it so: q · 2^−tᶜ = before · multiplier · 2^−t
// with a power of two `before` by which the accumulator is multiplied first (it knows the accumulator's bound, so this is exact).
import { roundEven, toCodes } from "../simd/lanes";

/**
 * y = zero + round(acc · before · multiplier · 2^−t), halves towards +∞. Low words of the products do not count, and the half brings the
 * zero point with it.
 *
 * @param acc        int32[channels / 8][…pixels][8]; panelPitch bytes between panels; overwritten where a panel is partial
 * @param out        int8[pixels][pitch]
 * @param pixels     at least 1
 * @param channels   written per pixel; the last panel may be partial
 * @param constants  per panel: before int32[8], multiplier int32[8]; |acc · before| < 2³¹
 * @param t          in [33, 54]
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
): void {
  const shift = t - 32;
  const half = i32x4.splat((zero << shift) + (1 << (shift - 1)));
  for (let c = 0; c < channels; c += 8, acc += panelPitch, out += 8, constants += 64) {
    const b0 = v128.load(constants);
    const b1 = v128.load(constants, 16);
    const q0 = v128.load(constants, 32);
    const q1 = v128.load(constants, 48);
    const whole = channels - c >= 8;
    const step = whole ? pitch : 32;
    let from = acc;
    let to = whole ? out : acc;
    const end = acc + (pixels << 5);
    do {
      const r0 = i32x4.shr_s(i32x4.add(highWords(i32x4.mul(v128.load(from), b0), q0), half), shift);
      const r1 = i32x4.shr_s(i32x4.add(highWords(i32x4.mul(v128.load(from, 16), b1), q1), half), shift);
      const codes = i16x8.narrow_i32x4_s(r0, r1);
      v128.store64_lane(to, i8x16.narrow_i16x8_s(codes, codes), 0);
      from += 32;
      to += step;
    } while (from != end);
    if (!whole) scatter(acc, out, pitch, pixels, channels - c);
  }
}

function highWords(x: v128, q: v128): v128 {
  return v128.shuffle<i32>(i64x2.extmul_low_i32x4_s(x, q), i64x2.extmul_high_i32x4_s(x, q), 1, 3, 5, 7);
}

/** The codes of a partial panel, which were stored 32 bytes apart so as not to touch their neighbours', to where they belong. */
export function scatter(from: usize, to: usize, pitch: i32, pixels: i32, lanes: i32): void {
  for (let p = 0; p < pixels; p++, from += 32, to += pitch) {
    for (let i = 0; i < lanes; i++) store<u8>(to + i, load<u8>(from + i));
  }
}

/** The same with halves to even. @param t in [32, 62] */
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
): void {
  const half = i64x2.splat((<i64>1) << (t - 1));
  const shift = t - 32;
  const mask = i32x4.splat((1 << shift) - 1);
  const one = i32x4.splat(1);
  const zeros = i16x8.splat(<i16>zero);
  for (let c = 0; c < channels; c += 8, acc += panelPitch, out += 8, constants += 64) {
    const b0 = v128.load(constants);
    const b1 = v128.load(constants, 16);
    const q0 = v128.load(constants, 32);
    const q1 = v128.load(constants, 48);
    const whole = channels - c >= 8;
    const step = whole ? pitch : 32;
    let from = acc;
    let to = whole ? out : acc;
    const end = acc + (pixels << 5);
    do {
      const x0 = i32x4.mul(v128.load(from), b0);
      const x1 = i32x4.mul(v128.load(from, 16), b1);
      const r0 = roundEven(i64x2.extmul_low_i32x4_s(x0, q0), i64x2.extmul_high_i32x4_s(x0, q0), half, shift, mask, one);
      const r1 = roundEven(i64x2.extmul_low_i32x4_s(x1, q1), i64x2.extmul_high_i32x4_s(x1, q1), half, shift, mask, one);
      v128.store64_lane(to, toCodes(r0, r1, zeros), 0);
      from += 32;
      to += step;
    } while (from != end);
    if (!whole) scatter(acc, out, pitch, pixels, channels - c);
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
      store<i8>(to, saturate(r + zero));
    }
  }
}

export function saturate(r: i64): i8 {
  return <i8>min(max(r, <i64>-128), <i64>127);
}

/** min(max(code, lo), hi) of what an epilogue has written. @param out int8[pixels][pitch], channels of each pixel */
export function clampCodes(out: usize, pitch: i32, pixels: i32, channels: i32, lo: i32, hi: i32): void {
  const least = i8x16.splat(<i8>lo);
  const most = i8x16.splat(<i8>hi);
  const ofSixteen: usize = channels & ~15;
  const whole: usize = channels & ~7;
  for (let p = 0; p < pixels; p++, out += pitch) {
    let at = out;
    for (const end = out + ofSixteen; at < end; at += 16) v128.store(at, i8x16.min_s(i8x16.max_s(v128.load(at), least), most));
    if (at < out + whole) {
      v128.store64_lane(at, i8x16.min_s(i8x16.max_s(v128.load64_zero(at), least), most), 0);
      at += 8;
    }
    for (const end = out + channels; at < end; at++) store<i8>(at, <i8>min(max(<i32>load<i8>(at), lo), hi));
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
