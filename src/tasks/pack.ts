// Plain data as bytes: a line of JSON, then the typed arrays it points into. One value has one form, so that it can be hashed.
import { assert } from "../errors.ts";
import { sha256 } from "./hash.ts";
import type { Task } from "./types.ts";

/** What JSON has no words for stands as an object with this one key. */
const mark = "$";

const arrays = {
  Int8Array,
  Uint8Array,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
} as const;
type ArrayName = keyof typeof arrays;
type TypedArray = InstanceType<(typeof arrays)[ArrayName]>;

const newline = 10;

/**
 * Numbers keep their bits (NaN, infinities and −0 too), keys are sorted, fields that are undefined are left out.
 *
 * @param value numbers, strings, booleans, null, undefined, arrays, objects and typed arrays, in any nesting
 */
export function pack(value: unknown): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  let at = 0;
  const put = (part: TypedArray): number => {
    parts.push(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
    at += part.byteLength;
    return at - part.byteLength;
  };
  const plain = (part: unknown): unknown => {
    if (typeof part === "number")
      return Number.isFinite(part) && !Object.is(part, -0) ? part : { [mark]: Object.is(part, -0) ? "-0" : `${part}` };
    if (part === undefined) return { [mark]: "undefined" };
    if (typeof part !== "object" || part === null) {
      assert(typeof part !== "function" && typeof part !== "symbol" && typeof part !== "bigint", "packed data is plain");
      return part;
    }
    if (Array.isArray(part)) return part.map(plain);
    if (ArrayBuffer.isView(part)) {
      const name = part.constructor.name.replace(/^Buffer$/, "Uint8Array") as ArrayName;
      assert(name in arrays, `${part.constructor.name} can be packed`);
      return { [mark]: [name, put(part as TypedArray), (part as TypedArray).length] };
    }
    assert(Object.getPrototypeOf(part) === Object.prototype && !(mark in part), "packed objects are plain");
    const fields = Object.entries(part).filter(([, field]) => field !== undefined);
    return Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, field]) => [key, plain(field)]));
  };
  const text = new TextEncoder().encode(JSON.stringify(plain(value)));
  const bytes = new Uint8Array(text.length + 1 + at);
  bytes.set(text);
  bytes[text.length] = newline;
  let to = text.length + 1;
  for (const part of parts) {
    bytes.set(part, to);
    to += part.length;
  }
  return bytes;
}

/** The inverse of `pack`. Arrays are copies of their own. */
export function unpack(bytes: Uint8Array): unknown {
  const end = bytes.indexOf(newline);
  assert(end >= 0, "packed bytes begin with a line");
  const data = bytes.byteOffset + end + 1;
  const revive = (part: unknown): unknown => {
    if (typeof part !== "object" || part === null) return part;
    if (Array.isArray(part)) return part.map(revive);
    const marked = (part as Record<string, unknown>)[mark];
    if (marked === "undefined") return undefined;
    if (typeof marked === "string") return Number(marked);
    if (marked === undefined) return Object.fromEntries(Object.entries(part).map(([key, field]) => [key, revive(field)]));
    const [name, at, length] = marked as [ArrayName, number, number];
    return new arrays[name](bytes.buffer.slice(data + at, data + at + length * arrays[name].BYTES_PER_ELEMENT) as ArrayBuffer);
  };
  return revive(JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))));
}

/**
 * The name of a task's result: kind, options, hashes of shared inputs, payload, and the arithmetic that runs it.
 *
 * @param arithmetic names the program and its kernels: other versions may round otherwise
 */
export function taskHash({ kind, options, shared, payload }: Task, arithmetic: string): Promise<string> {
  return sha256(pack({ kind, options, payload, shared: shared.map(({ hash }) => hash), arithmetic }));
}
