import { HalftoneError } from "../errors.ts";

/** A decoded picture: bytes in planes [channels, height, width], grey or RGB as stored. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

/** The most pixels that are decoded: 2^28, a gigabyte of RGBA. */
export const maxPixels: number = 2 ** 28;

/** @throws HalftoneError DATA_MALFORMED for a declared size that nobody should allocate */
export function checkPixels(width: number, height: number, atMost: number, place: string): void {
  if (width === 0 || height === 0)
    throw new HalftoneError("DATA_MALFORMED", place, `an image of ${width}×${height} pixels`, "a positive size");
  const limit = Math.min(maxPixels, atMost);
  if (width * height > limit)
    throw new HalftoneError(
      "DATA_MALFORMED",
      place,
      `a declared size of ${width}×${height} pixels`,
      limit === maxPixels ? `at most ${maxPixels} pixels` : `at most ${limit} pixels, as many as the file's bytes can hold`,
    );
}

/** Separates `stride` interleaved bytes a pixel into the first `channels` planes. */
export function toPlanes(
  interleaved: Uint8Array | Uint8ClampedArray,
  width: number,
  height: number,
  stride: number,
  channels: number,
): Image {
  const size = width * height;
  const data = new Uint8Array(size * channels);
  for (let c = 0; c < channels; c++) for (let i = 0, at = c; i < size; i++, at += stride) data[c * size + i] = interleaved[at]!;
  return { width, height, channels, data };
}

/**
 * Grey to RGB by repetition; RGB to grey by L = (19595 R + 38470 G + 7471 B + 2^15) / 2^16, rounded down: ITU-R 601-2 luma as
 * Pillow's convert("L") computes it.
 */
export function toChannels(image: Image, channels: number, place: string): Image {
  if (image.channels === channels) return image;
  const size = image.width * image.height;
  const { data } = image;
  if (image.channels === 1 && channels === 3) {
    const rgb = new Uint8Array(3 * size);
    for (let c = 0; c < 3; c++) rgb.set(data, c * size);
    return { ...image, channels, data: rgb };
  }
  if (image.channels === 3 && channels === 1) {
    const grey = new Uint8Array(size);
    for (let i = 0; i < size; i++) grey[i] = (19595 * data[i]! + 38470 * data[size + i]! + 7471 * data[2 * size + i]! + 32768) >> 16;
    return { ...image, channels, data: grey };
  }
  throw new HalftoneError("DATA_MISMATCH", place, `${image.channels} channels`, `${channels}, as the model's input has`);
}

/** The middle [height, width], its corner at ⌊(size − crop) / 2⌋. */
export function centreCrop(image: Image, [height, width]: readonly [number, number], place: string): Image {
  if (image.height === height && image.width === width) return image;
  if (image.height < height || image.width < width)
    throw new HalftoneError(
      "DATA_MISMATCH",
      place,
      `${image.height}×${image.width} pixels (height × width)`,
      `at least the crop of ${height}×${width}`,
      "Resize first: --resize.",
    );
  const top = Math.floor((image.height - height) / 2);
  const left = Math.floor((image.width - width) / 2);
  const data = new Uint8Array(image.channels * height * width);
  for (let c = 0; c < image.channels; c++)
    for (let y = 0; y < height; y++) {
      const from = (c * image.height + top + y) * image.width + left;
      data.set(image.data.subarray(from, from + width), (c * height + y) * width);
    }
  return { width, height, channels: image.channels, data };
}
