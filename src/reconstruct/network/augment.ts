// Further views of calibration images: shifted, mirrored, warped, mixed with each other. What is shown is the same for both networks.
import type { Tensor } from "../../graph/types.ts";
import { randomBelow, randomWord, type Stream } from "../random.ts";

export interface Augmentation {
  /** Pixels an image is moved at most, in each direction; what comes in repeats the border. */
  readonly shift: number;
  readonly mirror: boolean;
  /** How much of a coordinate is added at most to itself and to the other one: scaled, turned and sheared about the middle. */
  readonly warp: number;
  /** Share of images that are mixed with another one of the batch. */
  readonly mix: number;
}

export const noAugmentation: Augmentation = { shift: 0, mirror: false, warp: 0, mix: 0 };

/** Words of a stream that one image uses, and for its warp, behind those of all images. */
const words = 8;
const warpWords = 4;
const firstWarpWord = 1 << 24;

/** @param images float32 [N, C, H, W]; [N, …] where they are only mixed */
export function augment(images: Tensor, { shift, mirror, warp, mix }: Augmentation, stream: Stream): Tensor {
  let data = shift > 0 || mirror ? moved(images, shift, mirror, stream) : (images.data as Float32Array);
  if (warp > 0) data = warped({ ...images, data }, warp, stream);
  return { ...images, data: mix > 0 ? mixed(data, images.dims[0]!, mix, stream) : data };
}

function moved({ dims, data }: Tensor, shift: number, mirror: boolean, stream: Stream): Float32Array {
  const [count, channels, height, width] = dims as [number, number, number, number];
  const out = new Float32Array(data.length);
  for (let n = 0, to = 0; n < count; n++) {
    const dy = randomBelow(stream, n * words, 2 * shift + 1) - shift;
    const dx = randomBelow(stream, n * words + 1, 2 * shift + 1) - shift;
    const flip = mirror && randomBelow(stream, n * words + 2, 2) === 1;
    for (let plane = n * channels; plane < (n + 1) * channels; plane++) {
      for (let y = 0; y < height; y++) {
        const row = (plane * height + Math.min(height - 1, Math.max(0, y + dy))) * width;
        for (let x = 0; x < width; x++, to++) {
          const at = Math.min(width - 1, Math.max(0, x + dx));
          out[to] = Number(data[row + (flip ? width - 1 - at : at)]);
        }
      }
    }
  }
  return out;
}

/** Pixels from where a random linear map near the identity takes them, between four neighbours; beyond the border it repeats. */
function warped({ dims, data }: Tensor, most: number, stream: Stream): Float32Array {
  const [count, channels, height, width] = dims as [number, number, number, number];
  const [middleY, middleX] = [(height - 1) / 2, (width - 1) / 2];
  const [lastY, lastX] = [height - 1, width - 1];
  const out = new Float32Array(data.length);
  for (let n = 0, to = 0; n < count; n++) {
    const entry = (i: number): number => most * (randomWord(stream, firstWarpWord + n * warpWords + i) / 2147483648 - 1);
    const [yy, yx, xy, xx] = [1 + entry(0), entry(1), entry(2), 1 + entry(3)];
    for (let plane = n * channels; plane < (n + 1) * channels; plane++) {
      const from = plane * height * width;
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++, to++) {
          const [dy, dx] = [y - middleY, x - middleX];
          const v = Math.min(lastY, Math.max(0, middleY + yy * dy + yx * dx));
          const u = Math.min(lastX, Math.max(0, middleX + xy * dy + xx * dx));
          const [top, left] = [Math.floor(v), Math.floor(u)];
          const [down, right] = [v - top, u - left];
          const upper = from + top * width + left;
          const lower = top < lastY ? upper + width : upper;
          const next = left < lastX ? 1 : 0;
          const above = Number(data[upper]) * (1 - right) + Number(data[upper + next]) * right;
          const below = Number(data[lower]) * (1 - right) + Number(data[lower + next]) * right;
          out[to] = above * (1 - down) + below * down;
        }
      }
    }
  }
  return out;
}

/** Each sample by chance with a share, evenly in [0, 1), of another one of the batch. Source: Zhang et al. 2018, "mixup". */
function mixed(data: Float32Array, count: number, mix: number, stream: Stream): Float32Array {
  const size = data.length / count;
  const out = data.slice();
  for (let n = 0; n < count; n++) {
    if (randomWord(stream, n * words + 3) >= mix * 4294967296) continue;
    const other = randomBelow(stream, n * words + 4, count) * size;
    const share = randomWord(stream, n * words + 5) / 4294967296;
    for (let i = 0; i < size; i++) out[n * size + i] = data[n * size + i]! * (1 - share) + data[other + i]! * share;
  }
  return out;
}
