// Values of all calibration samples, kept on the host in the layout the engine made them, from their maker to their last reader.
import type { DeviceTensor, Layout } from "../engine/types.ts";
import { assert } from "../errors.ts";

/** Beyond these bytes in float32 a value is kept in fewer. */
const mostBytes = 67_108_864;

/** Where a cache takes its memory: of the thread alone, or shared with others. */
export type Allocate = (bytes: number) => ArrayBufferLike;

const ownMemory: Allocate = (bytes) => new ArrayBuffer(bytes);

/** Values that are whole multiples, low … low + 255, of a step: an activation of at most 8 bits. */
export interface Steps {
  readonly step: number;
  readonly low: number;
}

/** Rows of one length, a row a sample, as plain data. */
type Rows =
  | { readonly kind: "float"; readonly values: Float32Array }
  /** 16-bit multiples of the largest magnitude of each sample: an error of at most 2⁻¹⁶ of that. */
  | { readonly kind: "half"; readonly codes: Int16Array; readonly steps: Float32Array }
  /** Exact. */
  | { readonly kind: "steps"; readonly codes: Uint8Array; readonly step: number; readonly low: number };

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

function writeRow(rows: Rows, row: number, from: Float32Array): void {
  const [start, end] = [row * from.length, (row + 1) * from.length];
  if (rows.kind === "float") {
    rows.values.set(from, start);
  } else if (rows.kind === "steps") {
    const codes = rows.codes.subarray(start, end);
    const { step, low } = rows;
    for (let i = 0; i < from.length; i++) codes[i] = from[i]! / step + magic - magic - low;
  } else {
    const codes = rows.codes.subarray(start, end);
    let most = 0;
    for (let i = 0; i < from.length; i++) most = Math.max(most, Math.abs(from[i]!));
    const step = Math.fround(most / 32767);
    rows.steps[row] = step;
    for (let i = 0; i < from.length; i++) codes[i] = step === 0 ? 0 : from[i]! / step + magic - magic;
  }
}

function readRow(rows: Rows, row: number, to: Float32Array): void {
  const [start, end] = [row * to.length, (row + 1) * to.length];
  if (rows.kind === "float") {
    to.set(rows.values.subarray(start, end));
    return;
  }
  const codes = rows.codes.subarray(start, end);
  const [step, low] = rows.kind === "steps" ? [rows.step, rows.low] : [rows.steps[row]!, 0];
  for (let i = 0; i < to.length; i++) to[i] = (codes[i]! + low) * step;
}

/**
 * One value of `samples` samples. Memory: 4 bytes an element; where that would be more than 64 MiB 1 byte, if the values are steps, else 2.
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

  #makeRows(size: number): Rows {
    const n = this.samples * size;
    if (n * 4 <= mostBytes) return { kind: "float", values: new Float32Array(this.#allocate(n * 4)) };
    if (this.#steps) return { kind: "steps", codes: new Uint8Array(this.#allocate(n)), ...this.#steps };
    const codes = new Int16Array(this.#allocate(n * 2));
    return { kind: "half", codes, steps: new Float32Array(this.#allocate(this.samples * 4)) };
  }
}

/** Values by name, counted by the readers they still have. */
export class Caches {
  readonly #values = new Map<string, SampleCache>();

  set(name: string, cache: SampleCache): void {
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

  delete(name: string): void {
    this.#values.delete(name);
  }

  /** Forgets everything that is not among `names`. */
  keep(names: ReadonlySet<string>): void {
    for (const name of [...this.#values.keys()]) if (!names.has(name)) this.#values.delete(name);
  }
}
