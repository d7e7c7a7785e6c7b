// Windows without weights, over a bordered image, so that no window is cut. All steps in bytes of int8 codes.
import { storeBytes } from "../simd/lanes";

/**
 * The largest code of each window. Exactly `channels` bytes are written per pixel.
 *
 * @param from     channel 0 of the first tap of output pixel (0, 0); padding holds −128
 * @param to       int8[rows · columns][pitch]
 * @param channels at most pitch
 */
export function maxpool(
  from: usize,
  to: usize,
  pitch: i32,
  channels: i32,
  rows: i32,
  columns: i32,
  xStep: i32,
  yStep: i32,
  kh: i32,
  kw: i32,
  xTap: i32,
  yTap: i32,
): void {
  for (let y = 0; y < rows; y++, from += yStep) {
    let window = from;
    for (let x = 0; x < columns; x++, window += xStep, to += pitch) {
      for (let c = 0; c < channels; c += 16) {
        let best = v128.load(window + c);
        for (let i = 0, taps = window + c; i < kh; i++, taps += yTap) {
          for (let j = 0, tap = taps; j < kw; j++, tap += xTap) best = i8x16.max_s(best, v128.load(tap));
        }
        const lanes = channels - c;
        if (lanes >= 16) {
          v128.store(to + c, best);
        } else {
          let at = to + c;
          if (lanes >= 8) {
            v128.store64_lane(at, best, 0);
            best = v128.shuffle<i64>(best, best, 1, 0);
            at += 8;
          }
          if (lanes & 7) storeBytes(at, best, lanes & 7);
        }
      }
    }
  }
}

/**
 * acc[n][y · columns + x][j] = Σ (code − zero) over the window: at most 2²³ taps. A requantization makes it an average.
 *
 * @param from  padding holds `zero`
 * @param acc   int32[panels][rows · columns][8]; panelPitch bytes between panels
 */
export function sumpool(
  from: usize,
  rows: i32,
  columns: i32,
  xStep: i32,
  yStep: i32,
  kh: i32,
  kw: i32,
  xTap: i32,
  yTap: i32,
  zero: i32,
  acc: usize,
  panelPitch: i32,
  panels: i32,
): void {
  const start = i32x4.splat(-zero * kh * kw);
  for (let n = 0; n < panels; n++, from += 8, acc += panelPitch) {
    let to = acc;
    for (let y = 0, row = from; y < rows; y++, row += yStep) {
      for (let x = 0, window = row; x < columns; x++, window += xStep, to += 32) {
        let c0 = start;
        let c1 = start;
        for (let i = 0, taps = window; i < kh; i++, taps += yTap) {
          for (let j = 0, tap = taps; j < kw; j++, tap += xTap) {
            const a = v128.load8x8_s(tap);
            c0 = i32x4.add(c0, i32x4.extend_low_i16x8_s(a));
            c1 = i32x4.add(c1, i32x4.extend_high_i16x8_s(a));
          }
        }
        v128.store(to, c0);
        v128.store(to, c1, 16);
      }
    }
  }
}
