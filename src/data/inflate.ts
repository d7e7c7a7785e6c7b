import { Gunzip, Unzlib } from "fflate";
import { HalftoneError } from "../errors.ts";
import { joined } from "./joined.ts";

/** Input is pushed in pieces of this size, so that a bomb can overshoot the limit by at most one piece's output (× 1032: 64 MiB). */
const piece = 1 << 16;

/** The largest inflated file that is accepted: the whole of it is held in memory. */
export const maxInflatedBytes: number = 2 ** 31 - 1;

export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** @throws HalftoneError DATA_MALFORMED for a broken or cut stream, or one that inflates beyond `limit` bytes. */
export function gunzip(bytes: Uint8Array, place: string, limit: number = maxInflatedBytes): Uint8Array<ArrayBuffer> {
  return inflate((sink) => new Gunzip(sink), bytes, place, limit);
}

/** A zlib stream (that of PNG), as `gunzip`. */
export function unzlib(bytes: Uint8Array, place: string, limit: number = maxInflatedBytes): Uint8Array<ArrayBuffer> {
  return inflate((sink) => new Unzlib(sink), bytes, place, limit);
}

interface Stream {
  push(chunk: Uint8Array, final?: boolean): void;
}

function inflate(
  open: (sink: (chunk: Uint8Array) => void) => Stream,
  bytes: Uint8Array,
  place: string,
  limit: number,
): Uint8Array<ArrayBuffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const stream = open((chunk) => {
    chunks.push(chunk);
    length += chunk.length;
  });
  for (let start = 0; start < bytes.length || start === 0; start += piece) {
    const end = Math.min(start + piece, bytes.length);
    try {
      stream.push(bytes.subarray(start, end), end === bytes.length);
    } catch (error) {
      const found = `a compressed stream that breaks (${error instanceof Error ? error.message : error})`;
      throw new HalftoneError("DATA_MALFORMED", place, found, "a whole one", "The file is damaged or cut off.");
    }
    if (length > limit) throw new HalftoneError("DATA_MALFORMED", place, `more than ${limit} bytes when inflated`, `at most ${limit}`);
  }
  return joined(chunks, Uint8Array);
}
