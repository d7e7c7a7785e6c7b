import { HalftoneError } from "../errors.ts";
import { type ByteSource, memorySource } from "./files.ts";
import { gunzip, isGzip } from "./inflate.ts";
import { checkLabel } from "./labels.ts";
import type { Dataset } from "./types.ts";

/** Unsigned bytes with three axes (images) or one (labels): the magic numbers of MNIST's files. */
const imageMagic = 0x803;
const labelMagic = 0x801;

/**
 * An IDX file of images [N, H, W] with, optionally, one of N labels; each may be gzipped (then inflated once and held in memory,
 * else read by range).
 * @source yann.lecun.com/exdb/mnist, "the IDX file format"
 */
export async function openIdx(imageFile: ByteSource, labelFile: ByteSource | undefined, labelOffset: number): Promise<Dataset> {
  const images = await inflated(imageFile);
  const [count, height, width] = (await readHeader(images, imageMagic, 3, "images")) as [number, number, number];
  if (count === 0) throw new HalftoneError("DATA_EMPTY", images.place, "0 images", "at least one");
  if (height === 0 || width === 0)
    throw new HalftoneError("DATA_MALFORMED", images.place, `images of ${height}×${width} pixels`, "a positive size");
  const labels = labelFile && (await inflated(labelFile));
  const labelCount = labels && (await readHeader(labels, labelMagic, 1, "labels"))[0]!;
  if (labelCount !== undefined && labelCount !== count)
    throw new HalftoneError("DATA_MISMATCH", labels!.place, `${labelCount} labels`, `${count}, one for each image of ${images.place}`);

  const bytesEach = height * width;
  const dims = [1, height, width] as const;
  return {
    name: images.place,
    length: count,
    labelled: labels !== undefined,
    async read(start, end) {
      const pixels = await images.read(16 + start * bytesEach, 16 + end * bytesEach);
      const stored = await labels?.read(8 + start, 8 + end);
      return Array.from({ length: end - start }, (_, i) => {
        const place = `${images.place} image ${start + i}`;
        return {
          place,
          bytes: pixels.slice(i * bytesEach, (i + 1) * bytesEach),
          format: { kind: "planes", dims },
          label: stored ? checkLabel(stored[i]!, labelOffset, place) : -1,
        };
      });
    },
  };
}

async function inflated(source: ByteSource): Promise<ByteSource> {
  const head = await source.read(0, Math.min(2, source.size));
  return isGzip(head) ? memorySource(source.place, gunzip(await source.read(0, source.size), source.place)) : source;
}

/** Big-endian magic and sizes, checked against the number of bytes that follow. */
async function readHeader(source: ByteSource, magic: number, rank: number, what: string): Promise<number[]> {
  const bytes = 4 + 4 * rank;
  const malformed = (found: string, expected: string, hint = ""): HalftoneError =>
    new HalftoneError("DATA_MALFORMED", source.place, found, expected, hint);
  if (source.size < bytes) throw malformed(`${source.size} bytes`, `an IDX header of ${bytes} bytes`);
  const head = await source.read(0, bytes);
  const view = new DataView(head.buffer, head.byteOffset);
  const hex = (n: number): string => `0x${n.toString(16).padStart(8, "0")}`;
  if (view.getUint32(0) !== magic)
    throw malformed(`magic number ${hex(view.getUint32(0))}`, `${hex(magic)} of IDX ${what}`, "Give the files as IMAGES,LABELS.");
  const dims = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const declared = dims.reduce((product, dim) => product * dim, 1);
  if (!Number.isSafeInteger(declared) || bytes + declared !== source.size)
    throw malformed(`${source.size} bytes`, `${bytes} + ${dims.join(" × ")} bytes as its header says`, "The file is damaged or cut off.");
  return dims;
}
