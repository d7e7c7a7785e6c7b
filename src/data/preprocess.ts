import { HalftoneError } from "../errors.ts";
import { centreCrop, type Image, maxPixels, toChannels } from "./image.ts";
import { decodeJpeg } from "./jpeg.ts";
import { type NpyType, npyTypes, readElement } from "./npy.ts";
import { decodePng } from "./png.ts";
import { resize, shortSideDims } from "./resize.ts";
import type { Preprocessing, RawSample, Sample, SampleFormat } from "./types.ts";

/** Bytes of pictures become 0…1; numbers of an npy file stay as they are. */
export function defaultPreprocessing(format: SampleFormat): Preprocessing {
  return { scale: format.kind === "array" ? 1 : 1 / 255, mean: [0], std: [1] };
}

/**
 * Decodes a stored sample and prepares it for the model: resize, centre crop, then for every element v of channel c
 * x = f(f(f(v · scale) − f(mean[c])) / f(std[c])), f rounding to float32 and v · scale being taken in float64: what
 * `(v / 255 − mean) / std` is in float32 arithmetic. Channels are the first axis of three, [C, H, W]; arrays of another rank
 * take one mean and std for all.
 *
 * @param channels what the model's input has: grey is repeated or RGB turned to grey where it differs; absent = as stored
 * @throws HalftoneError DATA_MALFORMED (a broken image), DATA_MISMATCH (sizes), NOT_FINITE, OPTION_INVALID
 */
export async function decodeSample(raw: RawSample, preprocessing: Preprocessing, channels?: number): Promise<Sample> {
  const { format, place, label } = raw;
  if (format.kind !== "array") {
    const image = await decodeImage(raw);
    return normalizeImage(image, preprocessing, channels, place, label);
  }
  const count = format.dims.reduce((product, dim) => product * dim, 1);
  if (raw.bytes.length !== count * npyTypes[format.dtype].bytes)
    throw new HalftoneError("DATA_MALFORMED", place, `${raw.bytes.length} bytes`, `${count} elements of ${format.dtype}`);
  if (format.dtype === "uint8" && format.dims.length === 3) {
    const [c, height, width] = format.dims as [number, number, number];
    return normalizeImage({ width, height, channels: c, data: raw.bytes }, preprocessing, channels, place, label);
  }
  if (preprocessing.resize !== undefined || preprocessing.crop !== undefined)
    throw new HalftoneError(
      "OPTION_INVALID",
      place,
      `resize or crop for rows of ${format.dtype}`,
      "images, or uint8 rows [C, H, W]",
      "Leave out --resize and --crop, and store the rows at the model's size.",
    );
  const values = readValues(raw.bytes, format.dtype, count, place);
  normalize(values, format.dims.length === 3 ? format.dims[0]! : 1, preprocessing, place);
  return { dims: format.dims, values, label };
}

/** The picture as stored, before any preprocessing. */
export async function decodeImage(raw: RawSample): Promise<Image> {
  const { format, bytes, place } = raw;
  switch (format.kind) {
    case "jpeg":
      return decodeJpeg(bytes as Uint8Array<ArrayBuffer>, place);
    case "png":
      return decodePng(bytes, place);
    case "planes": {
      const [channels, height, width] = format.dims;
      if (bytes.length !== channels * height * width)
        throw new HalftoneError("DATA_MALFORMED", place, `${bytes.length} bytes`, `${channels} × ${height} × ${width}`);
      return { width, height, channels, data: bytes };
    }
    case "array":
      throw new HalftoneError("DATA_MISMATCH", place, "a row of numbers", "an image");
  }
}

function normalizeImage(stored: Image, preprocessing: Preprocessing, channels: number | undefined, place: string, label: number): Sample {
  const { resize: size, crop } = preprocessing;
  let image = channels === undefined ? stored : toChannels(stored, channels, place);
  if (size !== undefined) {
    const [height, width] = typeof size === "number" ? shortSideDims(image, size) : size;
    if (height * width > maxPixels)
      throw new HalftoneError(
        "DATA_MISMATCH",
        place,
        `${image.height}×${image.width} pixels, ${height}×${width} after resizing`,
        `at most ${maxPixels} pixels`,
      );
    image = resize(image, height, width);
  }
  if (crop) image = centreCrop(image, crop, place);
  const values = new Float32Array(image.data);
  normalize(values, image.channels, preprocessing, place);
  return { dims: [image.channels, image.height, image.width], values, label };
}

function normalize(values: Float32Array, channels: number, { scale, mean, std }: Preprocessing, place: string): void {
  for (const [name, list] of [
    ["mean", mean],
    ["std", std],
  ] as const)
    if (list.length !== 1 && list.length !== channels)
      throw new HalftoneError(
        "OPTION_INVALID",
        place,
        `${list.length} numbers of ${name}`,
        channels === 1 ? "one" : `one, or ${channels} (one for each channel)`,
      );
  const size = values.length / channels;
  for (let c = 0; c < channels; c++) {
    const m = Math.fround(mean[mean.length === 1 ? 0 : c]!);
    const s = Math.fround(std[std.length === 1 ? 0 : c]!);
    for (let i = c * size; i < (c + 1) * size; i++) values[i] = Math.fround(Math.fround(values[i]! * scale) - m) / s;
  }
  // A plain loop: a callback for each element would box each number, 2.4 MB of garbage a picture.
  for (let i = 0; i < values.length; i++)
    if (!Number.isFinite(values[i]))
      throw new HalftoneError("NOT_FINITE", `${place}, element ${i}`, `${values[i]} after scale, mean and std`, "finite numbers");
}

function readValues(bytes: Uint8Array, dtype: NpyType, count: number, place: string): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const values = new Float32Array(count);
  const size = npyTypes[dtype].bytes;
  for (let i = 0; i < count; i++) {
    const value = readElement(view, i * size, dtype);
    if (!Number.isFinite(value)) throw new HalftoneError("NOT_FINITE", `${place}, element ${i}`, String(value), "finite numbers");
    values[i] = value;
  }
  return values;
}

/** @throws HalftoneError OPTION_INVALID for numbers that no picture can be prepared with */
export function checkPreprocessing(preprocessing: Preprocessing, place = "preprocessing"): Preprocessing {
  const fail = (found: string, expected: string): HalftoneError => new HalftoneError("OPTION_INVALID", place, found, expected);
  const { resize: size, crop, scale, mean, std } = preprocessing;
  const sides = [...(typeof size === "number" ? [size] : (size ?? [])), ...(crop ?? [])];
  if (sides.some((side) => !Number.isInteger(side) || side < 1 || side > 16384)) throw fail(`sizes ${sides.join(", ")}`, "1…16384 pixels");
  if (!Number.isFinite(scale) || scale === 0) throw fail(`scale ${scale}`, "a finite number other than 0");
  if (mean.length === 0 || mean.some((value) => !Number.isFinite(value))) throw fail(`mean [${mean.join(", ")}]`, "finite numbers");
  if (std.length === 0 || std.some((value) => !(Math.fround(value) > 0) || !Number.isFinite(value)))
    throw fail(`std [${std.join(", ")}]`, "positive numbers");
  return preprocessing;
}
