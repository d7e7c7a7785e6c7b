// Stored samples as pictures for the page, and the page's pictures as stored samples.
import { decodeSample, type Preprocessing, type RawSample } from "halftone";
import type { Own, Picture } from "../protocol.ts";

/** Longest side of a picture that the page is sent, in pixels. */
const largest = 320;

/** Bytes as they are: what the decoder does without any preprocessing. */
export const asStored: Preprocessing = { scale: 1, mean: [0], std: [1] };

/** The sample as a picture, or undefined for rows of numbers. */
export async function pictureOf(raw: RawSample): Promise<ImageBitmap | undefined> {
  if (raw.format.kind === "array" && (raw.format.dtype !== "uint8" || raw.format.dims.length !== 3)) return undefined;
  const { dims, values } = await decodeSample(raw, asStored);
  return planesToBitmap(dims as [number, number, number], values);
}

/** What the model is shown: resized and cropped, but neither scaled nor shifted. */
export async function seenPicture(raw: RawSample, { resize, crop }: Preprocessing, channels: number | undefined): Promise<ImageBitmap> {
  const { dims, values } = await decodeSample(raw, { ...asStored, resize, crop }, channels);
  return planesToBitmap(dims as [number, number, number], values);
}

function planesToBitmap([channels, height, width]: [number, number, number], values: Float32Array): Promise<ImageBitmap> {
  const size = width * height;
  const data = new Uint8ClampedArray(4 * size);
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) data[4 * i + c] = values[channels === 3 ? c * size + i : i]!;
    data[4 * i + 3] = 255;
  }
  const shrink = Math.min(1, largest / Math.max(width, height));
  return createImageBitmap(new ImageData(data, width, height), {
    resizeWidth: Math.max(1, Math.round(width * shrink)),
    resizeHeight: Math.max(1, Math.round(height * shrink)),
    resizeQuality: "high",
  });
}

/**
 * A picture of the user's own as a stored sample. JPEG and PNG are decoded by the library, to the same bytes everywhere; other kinds
 * by the browser.
 */
export async function rawOf({ picture, invert }: Own): Promise<RawSample> {
  const bytes = picture instanceof Blob ? await fileBytes(picture) : planesOf(picture);
  return invert ? { ...bytes, bytes: bytes.bytes.map((value) => 255 - value) } : bytes;
}

const place = "your picture";

async function fileBytes(file: Blob): Promise<RawSample> {
  const kind = { "image/jpeg": "jpeg", "image/png": "png" }[file.type] as "jpeg" | "png" | undefined;
  if (!kind) return planesOf(await browserPixels(file));
  const raw: RawSample = { place, bytes: new Uint8Array(await file.arrayBuffer()), format: { kind }, label: -1 };
  const { dims, values } = await decodeSample(raw, asStored);
  return { ...raw, bytes: Uint8Array.from(values), format: { kind: "planes", dims: dims as [number, number, number] } };
}

async function browserPixels(file: Blob): Promise<Picture> {
  const bitmap = await createImageBitmap(file);
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d")!;
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** RGBA to planes; alpha is left out. */
function planesOf({ width, height, data }: Picture): RawSample {
  const size = width * height;
  const bytes = new Uint8Array(3 * size);
  for (let i = 0; i < size; i++) for (let c = 0; c < 3; c++) bytes[c * size + i] = data[4 * i + c]!;
  return { place, bytes, format: { kind: "planes", dims: [3, height, width] }, label: -1 };
}
