// Linear codes of one scale: c = clamp(rne(x / s) + z, lo, hi). The quotient is divided, never multiplied by 1 / s,
// which would move values that lie on a tie.

/** 1.5 · 2²³: adding it to an integer of magnitude below 2²² leaves that integer in the low mantissa bits. */
const magic: f32 = 12582912;

/**
 * Float32 values to codes, one byte each (signed or unsigned alike).
 *
 * @param x     float32[n], 16-byte aligned
 * @param codes int8[n] or uint8[n], 16-byte aligned
 * @param s     scale, positive
 * @param z     zero point, lo ≤ z ≤ hi
 * @param lo    least code, at least −128
 * @param hi    greatest code, at most 255 (127 when lo is negative)
 */
export function quantizeCodes(x: usize, codes: usize, n: i32, s: f32, z: i32, lo: i32, hi: i32): void {
  const scale = f32x4.splat(s);
  const bottom = f32x4.splat(<f32>(lo - z));
  const top = f32x4.splat(<f32>(hi - z));
  const shift = f32x4.splat(magic + <f32>z);
  const byte = i32x4.splat(255);
  const end = codes + (<usize>n & ~15);
  while (codes < end) {
    const a = quantizeFour(v128.load(x), scale, bottom, top, shift, byte);
    const b = quantizeFour(v128.load(x, 16), scale, bottom, top, shift, byte);
    const c = quantizeFour(v128.load(x, 32), scale, bottom, top, shift, byte);
    const d = quantizeFour(v128.load(x, 48), scale, bottom, top, shift, byte);
    v128.store(codes, i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
    x += 64;
    codes += 16;
  }
  for (let rest = n & 15; rest > 0; rest--, x += 4, codes++) {
    store<u8>(codes, <u8>(<i32>limit(nearest<f32>(load<f32>(x) / s), <f32>(lo - z), <f32>(hi - z)) + z));
  }
}

/** Four codes, each as the low byte of 32 bits. */
function quantizeFour(x: v128, scale: v128, bottom: v128, top: v128, shift: v128, byte: v128): v128 {
  const level = f32x4.pmin(f32x4.pmax(f32x4.nearest(f32x4.div(x, scale)), bottom), top);
  return v128.and(f32x4.add(level, shift), byte);
}

/**
 * Codes to float32: (c − z) · s.
 *
 * @param codes bytes[n], 16-byte aligned
 * @param x     float32[n], 16-byte aligned
 * @param flip  0 for int8 codes with zero point z; 0x80 for uint8 codes, with z reduced by 128
 */
export function dequantizeCodes(codes: usize, x: usize, n: i32, s: f32, z: i32, flip: i32): void {
  const scale = f32x4.splat(s);
  const zero = i16x8.splat(<i16>z);
  const sign = i8x16.splat(<i8>flip);
  const end = codes + (<usize>n & ~15);
  while (codes < end) {
    const bytes = v128.xor(v128.load(codes), sign);
    const low = i16x8.sub(i16x8.extend_low_i8x16_s(bytes), zero);
    const high = i16x8.sub(i16x8.extend_high_i8x16_s(bytes), zero);
    v128.store(x, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low)), scale));
    v128.store(x, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low)), scale), 16);
    v128.store(x, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high)), scale), 32);
    v128.store(x, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high)), scale), 48);
    codes += 16;
    x += 64;
  }
  for (let rest = n & 15; rest > 0; rest--, x += 4, codes++) {
    store<f32>(x, <f32>(<i32>(<i8>(load<u8>(codes) ^ <u8>flip)) - z) * s);
  }
}

/**
 * Quantizes and dequantizes: y = clamp(rne(x / s), lo − z, hi − z) · s.
 *
 * @param x float32[n], 16-byte aligned
 * @param y float32[n], 16-byte aligned; may be x
 */
export function fakeQuantize(x: usize, y: usize, n: i32, s: f32, z: i32, lo: i32, hi: i32): void {
  const scale = f32x4.splat(s);
  const bottom = f32x4.splat(<f32>(lo - z));
  const top = f32x4.splat(<f32>(hi - z));
  const end = x + ((<usize>n & ~3) << 2);
  while (x < end) {
    const level = f32x4.pmin(f32x4.pmax(f32x4.nearest(f32x4.div(v128.load(x), scale)), bottom), top);
    v128.store(y, f32x4.mul(level, scale));
    x += 16;
    y += 16;
  }
  for (let rest = n & 3; rest > 0; rest--, x += 4, y += 4) {
    store<f32>(y, limit(nearest<f32>(load<f32>(x) / s), <f32>(lo - z), <f32>(hi - z)) * s);
  }
}

/** The scalar twin of pmin(pmax(v, lo), hi). */
function limit(v: f32, lo: f32, hi: f32): f32 {
  const above = v < lo ? lo : v;
  return hi < above ? hi : above;
}
