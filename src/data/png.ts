import { convertIndexedToRgb, type DecodedPng, decode } from "fast-png";
import { HalftoneError } from "../errors.ts";
import { checkPixels, type Image, toPlanes } from "./image.ts";
import { unzlib } from "./inflate.ts";
import { joined } from "./joined.ts";

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** What decides about pixels. Text, colour profiles and transparency are left out unread. */
const essential: ReadonlySet<string> = new Set(["IHDR", "PLTE", "IDAT", "IEND"]);
/** Samples a pixel by colour type: grey, –, RGB, palette, grey + alpha, –, RGB + alpha. */
const samplesOf: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const palette = 3;

/**
 * Grey or RGB bytes of a PNG. Alpha is dropped, as Pillow's convert("RGB") does, not composited; 16-bit samples v become the nearest
 * byte ⌊(v + 128) / 257⌋; grey of 1, 2 and 4 bits is stretched to 0…255. Checksums are verified.
 *
 * @throws HalftoneError DATA_MALFORMED
 * @source PNG (W3C Recommendation, 3rd edition)
 */
export function decodePng(bytes: Uint8Array, place: string): Image {
  const malformed = (found: string, expected: string, hint = ""): HalftoneError =>
    new HalftoneError("DATA_MALFORMED", place, found, expected, hint);
  const chunks = readChunks(bytes, malformed);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const width = view.getUint32(16);
  const height = view.getUint32(20);
  const depth = bytes[24]!;
  const colour = bytes[25]!;
  const interlaced = bytes[28] === 1;
  const samples = samplesOf[colour];
  if (samples === undefined) throw malformed(`PNG colour type ${colour}`, "0, 2, 3, 4 or 6");
  if (interlaced && depth < 8)
    throw malformed(`an interlaced PNG of ${depth} bits`, "8 or 16 bits, or no interlace", "Save it without interlace.");

  // Deflate reaches 1032 : 1 at most, and a row takes at least one byte beside its pixels.
  const data = chunks.filter(({ type }) => type === "IDAT");
  const packed = data.reduce((sum, { end, start }) => sum + end - start - 12, 0);
  checkPixels(width, height, Math.floor((packed * 1032 * 8) / (depth * samples)), place);
  const rowBytes = 1 + Math.ceil((depth * samples * width) / 8);
  const slack = interlaced ? 2 * height + 14 : 0;
  // The decoder has no bound of its own: a stream that could inflate far beyond the picture is measured first.
  if (packed > 1 << 18)
    unzlib(
      joined(
        data.map(({ start, end }) => bytes.subarray(start + 8, end - 4)),
        Uint8Array,
      ),
      place,
      height * rowBytes * 2 + slack,
    );

  let png: DecodedPng;
  let pixels: Uint8Array;
  try {
    png = decode(joined([bytes.subarray(0, 8), ...chunks.map(({ start, end }) => bytes.subarray(start, end))], Uint8Array), {
      checkCrc: true,
    });
    pixels = colour === palette ? convertIndexedToRgb(png) : toBytes(png);
  } catch (error) {
    throw malformed(
      `a PNG that breaks (${error instanceof Error ? error.message : error})`,
      "a whole one",
      "The file is damaged or cut off.",
    );
  }
  if (colour === palette) return toPlanes(pixels, width, height, 3, 3);
  return toPlanes(pixels, width, height, samples, samples < 3 ? 1 : 3);
}

interface Chunk {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/** The essential chunks in order, each inside the file; the first is IHDR, the last IEND. */
function readChunks(bytes: Uint8Array, malformed: (found: string, expected: string, hint?: string) => HalftoneError): Chunk[] {
  if (signature.some((byte, i) => bytes[i] !== byte))
    throw malformed("a file that does not begin as a PNG", "a PNG", "Its name may be wrong.");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const chunks: Chunk[] = [];
  for (let start = 8; chunks.at(-1)?.type !== "IEND"; ) {
    const end = start + 12 <= bytes.length ? start + 12 + view.getUint32(start) : Number.POSITIVE_INFINITY;
    if (end > bytes.length) throw malformed(`${bytes.length} bytes, inside a chunk`, "a chunk IEND at the end", "The file is cut off.");
    const type = String.fromCharCode(...bytes.subarray(start + 4, start + 8));
    if (chunks.length === 0 && (type !== "IHDR" || end - start !== 25))
      throw malformed(`'${type}' as the first chunk`, "an IHDR of 13 bytes");
    if (chunks.length > 0 && type === "IHDR") throw malformed("a second IHDR", "one");
    if (essential.has(type)) chunks.push({ type, start, end });
    start = end;
  }
  return chunks;
}

/** Interleaved samples, one byte each. */
function toBytes({ data, depth, width, height }: DecodedPng): Uint8Array {
  if (depth === 16) return Uint8Array.from(data, (v) => Math.floor((v + 128) / 257));
  if (depth === 8) return data as Uint8Array;
  const rowBytes = Math.ceil((depth * width) / 8);
  const top = (1 << depth) - 1;
  const out = new Uint8Array(width * height);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++, at++) {
      const bit = x * depth;
      out[at] = (((data[y * rowBytes + (bit >> 3)]! >> (8 - depth - (bit & 7))) & top) * 255) / top;
    }
  return out;
}
