import { readFileSync } from "node:fs";

export interface GoldenImage {
  name: string;
  file: string;
  dims: [number, number, number];
  planes: string;
}

/** Files written and decoded by Pillow 12.3 and numpy. */
export const golden: {
  resize: { from: [number, number]; to: [number, number]; source: string; target: string }[];
  grey: { from: [number, number]; source: string; target: string };
  png: GoldenImage[];
  jpeg: GoldenImage[];
  cmyk: string;
  npz: { compressed: string; stored: string };
  fortran: string;
} = JSON.parse(readFileSync(new URL("../golden/images.json", import.meta.url), "utf8"));

export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(base64, "base64"));
}

export const rgbPng: Uint8Array<ArrayBuffer> = bytesOf(golden.png[0]!.file);
export const rgbJpeg: Uint8Array<ArrayBuffer> = bytesOf(golden.jpeg[0]!.file);

/** Big-endian IDX: magic 0x800 | rank, sizes, bytes. */
export function idx(dims: readonly number[], bytes: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(4 + 4 * dims.length + bytes.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, 0x800 | dims.length);
  for (const [axis, dim] of dims.entries()) view.setUint32(4 + 4 * axis, dim);
  out.set(bytes, 4 + 4 * dims.length);
  return out;
}

/** A CIFAR batch whose record i has label i mod 10 and pixels i, i + 1, … */
export function cifar(records: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: records * 3073 }, (_, at) => {
    const record = Math.floor(at / 3073);
    return at % 3073 === 0 ? record % 10 : record + (at % 3073) - 1;
  });
}

export function text(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}
