import { storeSome } from "./lanes";

/**
 * dst[i] = Σₜ weights[i, t] · src[taps[i, t]] for pixels of c float32: interpolation of one image in channels-last order.
 *
 * @param taps    int32[n, count], numbers of source pixels
 * @param weights float32[n, count]
 */
export function blendPixels(dst: usize, src: usize, taps: usize, weights: usize, n: i32, count: i32, c: i32): void {
  const pixel = (<usize>c) << 2;
  const step = (<usize>count) << 2;
  for (let i = 0; i < n; i++, dst += pixel, taps += step, weights += step) {
    for (let k = 0; k < c; k += 4) {
      const channel = src + ((<usize>k) << 2);
      let sum = f32x4.mul(v128.load32_splat(weights), v128.load(channel + <usize>load<u32>(taps) * pixel));
      for (let t: usize = 4; t < step; t += 4) {
        const v = v128.load(channel + <usize>load<u32>(taps + t) * pixel);
        sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(weights + t), v));
      }
      const to = dst + ((<usize>k) << 2);
      if (k + 4 <= c) v128.store(to, sum);
      else storeSome(to, sum, c & 3);
    }
  }
}
