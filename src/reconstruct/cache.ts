// Values of all calibration samples, kept on the host in the layout the engine made them, from their maker to their last reader.
import type { DeviceTensor, Layout } from "../engine/types.ts";
import { assert } from "../errors.ts";
import { closeShelf, fetch, openShelf, put, type Shelf } from "./shelf.ts";

/** Beyond these bytes in float32 a value is kept in fewer. */
const mostBytes = 67_108_864;
/** Beyond these in fewer it is kept in a file, if there are any. */
const mostCodedBytes = 134_217_728;

/** Where a cache takes its memory: of the thread alone, or shared with others. */
export type Allocate = (bytes: number) => ArrayBufferLike;

const ownMemory: Allocate = (bytes) => new ArrayBuffer(bytes);

/** Values that are whole multiples, low … low + 255, of a step: an activation of at most 8 bits. */
export interface Steps {
  readonly step: number;
  readonly low: number;
}

/** Where the codes of all rows lie: in memory, or on a shelf. */
type Place = { readonly memory: ArrayBufferLike } | { readonly shelf: Shelf };

/** Rows of one length, a row a sample, as plain data. */
type Rows =
  | { readonly kind: "float"; readonly values: Float32Array }
  /** 16-bit multiples of the largest magnitude of each sample: an error of at most 2⁻¹⁶ of that. */
  | { readonly kind: "half"; readonly place: Place; readonly steps: Float32Array }
  /** Exact. */
  | { readonly kind: "steps"; readonly place: Place; readonly step: number; readonly low: number };

type CodedRows = Exclude<Rows, { kind: "float" }>;

/** A cache as plain data, for another thread. */
export interface CacheData {
  readonly samples: number;
  /** Elements of one sample. */
  readonly size: number;
  readonly dims: readonly number[];
  readonly layout: Layout;
  readonly rows: Rows;
}

/** 1.5 · 2⁵²: adding and subtracting it rounds to a whole number, ties to even. */
const magic = 6755399441055744;

const bytesOf = { half: 2, steps: 1 } as const;
/** Room for a row of a shelf. */
let room = new ArrayBuffer(0);

/** The codes of a row: where they lie, or room for them. */
function codesAt({ kind, place }: CodedRows, row: number, size: number): Int16Array | Uint8Array {
  const bytes = size * bytesOf[kind];
  if ("shelf" in place && room.byteLength < bytes) room = new ArrayBuffer(bytes);
  const [buffer, start] = "shelf" in place ? [room, 0] : [place.memory, row * bytes];
  return kind === "half" ? new Int16Array(buffer, start, size) : new Uint8Array(buffer, start, size);
}

function writeRow(rows: Rows, row: number, from: Float32Array): void {
  if (rows.kind === "float") {
    rows.values.set(from, row * from.length);
    return;
  }
  const codes = codesAt(rows, row, from.length);
  if (rows.kind === "steps") {
    const { step, low } = rows;
    for (let i = 0; i < from.length; i++) codes[i] = from[i]! / step + magic - magic - low;
  } else {
    let most = 0;
    for (let i = 0; i < from.length; i++) most = Math.max(most, Math.abs(from[i]!));
    const step = Math.fround(most / 32767);
    rows.steps[row] = step;
    for (let i = 0; i < from.length; i++) codes[i] = step === 0 ? 0 : from[i]! / step + magic - magic;
  }
  if ("shelf" in rows.place) put(rows.place.shelf, codes, row * codes.byteLength);
}

function readRow(rows: Rows, row: number, to: Float32Array): void {
  if (rows.kind === "float") {
    to.set(rows.values.subarray(row * to.length, (row + 1) * to.length));
    return;
  }
  const codes = codesAt(rows, row, to.length);
  if ("shelf" in rows.place) fetch(rows.place.shelf, codes, row * codes.byteLength);
  const [step, low] = rows.kind === "steps" ? [rows.step, rows.low] : [rows.steps[row]!, 0];
  for (let i = 0; i < to.length; i++) to[i] = (codes[i]! + low) * step;
}

/**
 * One value of `samples` samples. Memory: 4 bytes an element; where that would be more than 64 MiB 1 byte, if the values are steps, else 2;
 * where that would be more than 128 MiB too, none but a row, if there are files.
 */
export class SampleCache {
  readonly samples: number;
  readonly #allocate: Allocate;
  readonly #steps: Steps | undefined;
  #data: CacheData | undefined;

  constructor(samples: number, allocate: Allocate = ownMemory, steps?: Steps) {
    this.samples = samples;
    this.#allocate = allocate;
    this.#steps = steps;
  }

  /** The cache of another thread. */
  static of(data: CacheData): SampleCache {
    const cache = new SampleCache(data.samples);
    cache.#data = data;
    return cache;
  }

  get data(): CacheData {
    assert(this.#data, "a value is written before it is read");
    return this.#data;
  }

  get size(): number {
    return this.data.size;
  }

  /** Copies a batch in, from sample `first` on; rows beyond the last sample are left out. */
  write(first: number, value: DeviceTensor, memory: Float32Array): void {
    const batch = value.dims[0]!;
    const size = value.dims.reduce((p, d) => p * d, 1) / batch;
    this.#data ??= { samples: this.samples, size, dims: value.dims.slice(1), layout: value.layout, rows: this.#makeRows(size) };
    assert(size === this.#data.size && value.layout === this.#data.layout, "all batches of a value have one shape and layout");
    for (let i = 0; i < batch && first + i < this.samples; i++) {
      const at = value.ptr / 4 + i * size;
      writeRow(this.#data.rows, first + i, memory.subarray(at, at + size));
    }
  }

  /** The named samples at `ptr`, one after the other. */
  gather(indices: readonly number[], ptr: number, memory: Float32Array): DeviceTensor {
    const { size, rows } = this.data;
    for (const [i, index] of indices.entries()) {
      const at = ptr / 4 + i * size;
      readRow(rows, index, memory.subarray(at, at + size));
    }
    return this.at(ptr, indices.length);
  }

  /** A tensor of this value's shape. */
  at(ptr: number, batch: number): DeviceTensor {
    const { dims, layout } = this.data;
    return { dims: [batch, ...dims], layout, ptr };
  }

  /** Ends the cache: what lies on a shelf is lost. For the thread that made it, when no other reads it any more. */
  release(): void {
    const rows = this.#data?.rows;
    this.#data = undefined;
    if (rows && rows.kind !== "float" && "shelf" in rows.place) closeShelf(rows.place.shelf);
  }

  #makeRows(size: number): Rows {
    const n = this.samples * size;
    if (n * 4 <= mostBytes) return { kind: "float", values: new Float32Array(this.#allocate(n * 4)) };
    if (this.#steps) return { kind: "steps", place: this.#place(n * bytesOf.steps), ...this.#steps };
    return { kind: "half", place: this.#place(n * bytesOf.half), steps: new Float32Array(this.#allocate(this.samples * 4)) };
  }

  #place(bytes: number): Place {
    const shelf = bytes > mostCodedBytes ? openShelf() : undefined;
    return shelf === undefined ? { memory: this.#allocate(bytes) } : { shelf };
  }
}

/** Values by name. Whoever forgets one ends its cache. */
export class Caches {
  readonly #values = new Map<string, SampleCache>();

  set(name: string, cache: SampleCache): void {
    this.#values.get(name)?.release();
    this.#values.set(name, cache);
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  get(name: string): SampleCache {
    const cache = this.#values.get(name);
    assert(cache, `value '${name}' is cached`);
    return cache;
  }

  /** Forgets everything that is not among `names`. */
  keep(names: ReadonlySet<string>): void {
    for (const [name, cache] of [...this.#values]) {
      if (names.has(name)) continue;
      cache.release();
      this.#values.delete(name);
    }
  }
}
