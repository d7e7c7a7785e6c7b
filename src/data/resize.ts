import type { Image } from "./image.ts";

// Bilinear with the triangle widened by the shrinking factor (so every source pixel counts), horizontally, then vertically, each
// pass rounded to bytes: the arithmetic of Pillow's Image.resize(…, BILINEAR), which the common preprocessing pipelines call.
// Source: Pillow, libImaging/Resample.c. Weights are made in float64 by + − × ÷ alone, then all is integer.

/** Fraction bits of a weight: 8 for the byte, 2 to spare, of 32. */
const fraction = 22;
const unit = 1 << fraction;

interface Taps {
  /** Number of weights kept for each output position. */
  readonly width: number;
  /** First source position, by output position. */
  readonly first: Int32Array;
  /** Weights in units of 2^−22, summing to about 1. */
  readonly weights: Int32Array;
}

function triangleTaps(from: number, to: number): Taps {
  const scale = from / to;
  const support = Math.max(scale, 1);
  const width = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const weights = new Int32Array(to * width);
  const real = new Float64Array(width);
  for (let position = 0; position < to; position++) {
    const centre = (position + 0.5) * scale;
    const low = Math.max(0, Math.trunc(centre - support + 0.5));
    const count = Math.min(from, Math.trunc(centre + support + 0.5)) - low;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      // The reciprocal is rounded first, as in the source; a division would differ in the last bit.
      const distance = Math.abs((i + low - centre + 0.5) * (1 / support));
      real[i] = distance < 1 ? 1 - distance : 0;
      sum += real[i]!;
    }
    first[position] = low;
    for (let i = 0; i < count; i++) weights[position * width + i] = Math.trunc(0.5 + (sum === 0 ? real[i]! : real[i]! / sum) * unit);
  }
  return { width, first, weights };
}

/** One pass along an axis of `from` elements, `step` apart; the other axis has `lines` elements, `lineStep` apart. */
function resample(
  source: Uint8Array,
  target: Uint8Array,
  taps: Taps,
  to: number,
  from: number,
  lines: number,
  step: number,
  along: boolean,
): void {
  for (let line = 0; line < lines; line++)
    for (let position = 0; position < to; position++) {
      const low = taps.first[position]!;
      const count = Math.min(taps.width, from - low);
      let sum = 1 << (fraction - 1);
      let at = along ? line * from + low : low * step + line;
      for (let i = 0; i < count; i++, at += along ? 1 : step) sum += source[at]! * taps.weights[position * taps.width + i]!;
      // Weights are not negative: only the top can be passed, by their rounding.
      target[along ? line * to + position : position * step + line] = Math.min(255, sum >> fraction);
    }
}

/** The picture at height × width pixels. */
export function resize(image: Image, height: number, width: number): Image {
  const { channels } = image;
  let data = image.data;
  if (width !== image.width) {
    const narrow = new Uint8Array(channels * image.height * width);
    resample(data, narrow, triangleTaps(image.width, width), width, image.width, channels * image.height, 1, true);
    data = narrow;
  }
  if (height !== image.height) {
    const taps = triangleTaps(image.height, height);
    const low = new Uint8Array(channels * height * width);
    for (let c = 0; c < channels; c++)
      resample(
        data.subarray(c * image.height * width, (c + 1) * image.height * width),
        low.subarray(c * height * width, (c + 1) * height * width),
        taps,
        height,
        image.height,
        width,
        width,
        false,
      );
    data = low;
  }
  return { width, height, channels, data };
}

/** [height, width] of a picture whose short side becomes `side` pixels; the long one is ⌊side · long / short⌋, as in torchvision and Hugging Face. */
export function shortSideDims({ width, height }: Image, side: number): [number, number] {
  return width <= height ? [Math.trunc((side * height) / width), side] : [side, Math.trunc((side * width) / height)];
}
