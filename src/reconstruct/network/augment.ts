// Further views of calibration images: shifted, mirrored, mixed with each other. What is shown is the same for both networks.
import type { Tensor } from "../../graph/types.ts";
import { randomBelow, randomWord, type Stream } from "../random.ts";

export interface Augmentation {
  /** Pixels an image is moved at most, in each direction; what comes in repeats the border. */
  readonly shift: number;
  readonly mirror: boolean;
  /** Share of images that are mixed with another one of the batch. */
  readonly mix: number;
}

export const noAugmentation: Augmentation = { shift: 0, mirror: false, mix: 0 };

/** Words of a stream that one image uses. */
const words = 8;

/** @param images float32 [N, C, H, W]; [N, …] where they are only mixed */
export function augment(images: Tensor, { shift, mirror, mix }: Augmentation, stream: Stream): Tensor {
  const data = shift > 0 || mirror ? moved(images, shift, mirror, stream) : (images.data as Float32Array);
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
