// The safetensors container: u64 length of the header, a JSON header padded with spaces, then the tensors without holes.
// Source: https://github.com/huggingface/safetensors#format
import { integer, list, malformed, object, oneOf, show, text } from "./fields.ts";
import type { PlanTensor } from "./types.ts";

/** What a plan uses of safetensors' element types. */
type ElementType = "I8" | "U8" | "I32" | "U32";
const elementTypes = { I8: Int8Array, U8: Uint8Array, I32: Int32Array, U32: Uint32Array } as const;
const elementType = oneOf<ElementType>("I8", "U8", "I32", "U32");

const prefixBytes = 8;
/** The data starts at a multiple of this, so that every tensor can be a view of an aligned file. */
const alignment = 16;
/** safetensors' own bound. */
const longestHeader = 100_000_000;

export interface Container {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, PlanTensor>;
  /** One line per tensor, in the order of the data: what the hash covers beside program and data. */
  readonly table: string;
  /** All tensors, as they stand in the file. */
  readonly data: Uint8Array;
}

interface Entry {
  readonly name: string;
  readonly dtype: ElementType;
  readonly length: number;
  readonly begin: number;
  readonly end: number;
}

function tableOf(entries: readonly Entry[]): string {
  return entries.map((e) => `${JSON.stringify(e.name)} ${e.dtype} ${e.begin} ${e.end}\n`).join("");
}

function dtypeOf(tensor: PlanTensor): ElementType {
  if (tensor instanceof Int8Array) return "I8";
  if (tensor instanceof Uint8Array) return "U8";
  return tensor instanceof Int32Array ? "I32" : "U32";
}

/** Entries in the order of the data: four-byte elements first, so that all are aligned without holes; then by name. */
function layOut(tensors: ReadonlyMap<string, PlanTensor>): Entry[] {
  const sorted = [...tensors].sort(([a, x], [b, y]) => y.BYTES_PER_ELEMENT - x.BYTES_PER_ELEMENT || (a < b ? -1 : 1));
  let end = 0;
  return sorted.map(([name, tensor]) => {
    const begin = end;
    end += tensor.byteLength;
    return { name, dtype: dtypeOf(tensor), length: tensor.length, begin, end };
  });
}

/** Tensors as safetensors orders and stores them; `data` is little-endian, as every machine that runs WebAssembly sees it. */
export function gather(tensors: ReadonlyMap<string, PlanTensor>): { readonly table: string; readonly data: Uint8Array } {
  const entries = layOut(tensors);
  const data = new Uint8Array(entries.at(-1)?.end ?? 0);
  for (const { name, begin } of entries) {
    const tensor = tensors.get(name)!;
    data.set(new Uint8Array(tensor.buffer, tensor.byteOffset, tensor.byteLength), begin);
  }
  return { table: tableOf(entries), data };
}

/** The file. Keys of `metadata` are written in their order. */
export function compose(metadata: Readonly<Record<string, string>>, tensors: ReadonlyMap<string, PlanTensor>): Uint8Array {
  const parts = [`"__metadata__":${JSON.stringify(metadata)}`];
  for (const { name, dtype, length, begin, end } of layOut(tensors))
    parts.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape: [length], data_offsets: [begin, end] })}`);
  const json = new TextEncoder().encode(`{${parts.join(",")}}`);
  const headerBytes = Math.ceil((prefixBytes + json.length) / alignment) * alignment - prefixBytes;
  const { data } = gather(tensors);
  const file = new Uint8Array(prefixBytes + headerBytes + data.length).fill(0x20, 0, prefixBytes + headerBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.set(json, prefixBytes);
  file.set(data, prefixBytes + headerBytes);
  return file;
}

/** Bytes of prefix and header, from the first eight. `left`: bytes that the file has, where that is known. */
function headerEnd(bytes: Uint8Array, left: number): number {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length < 2n || length > BigInt(Math.min(longestHeader, left - prefixBytes)))
    throw malformed(
      "plan byte 0",
      `a header of ${length} bytes`,
      `at most ${Math.min(longestHeader, left - prefixBytes)}`,
      "The file was cut off, or is no plan.",
    );
  return prefixBytes + Number(length);
}

function parseJson(bytes: Uint8Array): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw malformed("plan byte 8", `a header that is not JSON (${String(error)})`, "a safetensors header");
  }
  return object(json, "plan header");
}

const shape = list(integer(0, Number.MAX_SAFE_INTEGER), 0, 16);
const offsets = list(integer(0, Number.MAX_SAFE_INTEGER), 2, 2);

function readEntry(name: string, found: unknown): Entry {
  const place = `plan tensor ${show(name)}`;
  const fields = object(found, place);
  const dtype = elementType(fields.dtype, `${place} dtype`);
  const length = shape(fields.shape, `${place} shape`).reduce((product, extent) => product * extent, 1);
  const [begin, end] = offsets(fields.data_offsets, `${place} data_offsets`) as [number, number];
  if (length * elementTypes[dtype].BYTES_PER_ELEMENT !== end - begin)
    throw malformed(place, `${end - begin} bytes`, `${length} elements of ${dtype}`);
  return { name, dtype, length, begin, end };
}

/** The tensor as a view where its place in memory allows one, else as a copy. */
function view({ dtype, begin, length }: Entry, data: Uint8Array): PlanTensor {
  const type = elementTypes[dtype];
  const offset = data.byteOffset + begin;
  if (offset % type.BYTES_PER_ELEMENT === 0) return new type(data.buffer as ArrayBuffer, offset, length);
  return new type(data.slice(begin, begin + length * type.BYTES_PER_ELEMENT).buffer as ArrayBuffer);
}

interface Header {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of the data, without holes. */
  readonly entries: readonly Entry[];
  /** Where the data starts. */
  readonly end: number;
  /** Of the whole file. */
  readonly size: number;
}

function readHeader(bytes: Uint8Array, end: number): Header {
  const metadata: Record<string, string> = {};
  const entries: Entry[] = [];
  for (const [name, found] of Object.entries(parseJson(bytes.subarray(prefixBytes, end)))) {
    if (name !== "__metadata__") entries.push(readEntry(name, found));
    else
      for (const [key, word] of Object.entries(object(found, "plan __metadata__"))) metadata[key] = text(word, `plan __metadata__.${key}`);
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let next = 0;
  for (const { name, begin, end: last } of entries) {
    if (begin !== next)
      throw malformed(`plan tensor ${show(name)}`, `data from byte ${begin}`, `from byte ${next}, where the one before ends`);
    next = last;
  }
  return { metadata, entries, end, size: end + next };
}

/**
 * The header of a file that is still arriving: undefined until it is there whole.
 *
 * @throws HalftoneError PLAN_MALFORMED naming byte or tensor
 */
export function outline(bytes: Uint8Array): Pick<Header, "metadata" | "size"> | undefined {
  if (bytes.length < prefixBytes) return undefined;
  const end = headerEnd(bytes, Number.POSITIVE_INFINITY);
  return bytes.length < end ? undefined : readHeader(bytes, end);
}

/**
 * Header and tensors of a safetensors file, every offset checked: tensors follow one another without holes to the end of the file.
 *
 * @throws HalftoneError PLAN_MALFORMED naming byte or tensor
 */
export function parse(bytes: Uint8Array): Container {
  // A plain view: slices of a Node Buffer would share its memory.
  const file = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (file.length < prefixBytes)
    throw malformed("plan byte 0", `a file of ${file.length} bytes`, "a plan", "The file is empty or was cut off.");
  const { metadata, entries, end, size } = readHeader(file, headerEnd(file, file.length));
  if (size !== file.length)
    throw malformed(
      `plan byte ${Math.min(size, file.length)}`,
      `${file.length - end} bytes of tensors`,
      `${size - end}`,
      "The file was cut off or has been added to.",
    );
  const data = file.subarray(end);
  return { metadata, tensors: new Map(entries.map((e) => [e.name, view(e, data)])), table: tableOf(entries), data };
}
