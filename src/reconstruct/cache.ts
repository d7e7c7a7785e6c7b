// Values of all calibration samples, kept on the host in the layout the engine made them, from their maker to their last reader.
import type { DeviceTensor, Layout } from "../engine/types.ts";
import { assert } from "../errors.ts";

/** Beyond these bytes in float32 a value is kept in 16 bits. */
const mostBytes = 67_108_864;

/** Rows of one length, a row for each sample. */
interface Storage {
  write(row: number, from: Float32Array): void;
  read(row: number, to: Float32Array): void;
}

class Whole implements Storage {
  readonly #values: Float32Array;
  readonly #size: number;

  constructor(samples: number, size: number) {
    this.#values = new Float32Array(samples * size);
    this.#size = size;
  }

  write(row: number, from: Float32Array): void {
    this.#values.set(from, row * this.#size);
  }

  read(row: number, to: Float32Array): void {
    to.set(this.#values.subarray(row * this.#size, (row + 1) * this.#size));
  }
}

/** 1.5 · 2⁵²: adding and subtracting it rounds to a whole number, ties to even. */
const magic = 6755399441055744;

/** 16-bit multiples of the largest magnitude of each sample: an error of at most 2⁻¹⁶ of that. */
class Halved implements Storage {
  readonly #codes: Int16Array;
  readonly #steps: Float32Array;
  readonly #size: number;

  constructor(samples: number, size: number) {
    this.#codes = new Int16Array(samples * size);
    this.#steps = new Float32Array(samples);
    this.#size = size;
  }

  write(row: number, from: Float32Array): void {
    let most = 0;
    for (let i = 0; i < from.length; i++) most = Math.max(most, Math.abs(from[i]!));
    const step = Math.fround(most / 32767);
    this.#steps[row] = step;
    const codes = this.#codes.subarray(row * this.#size, (row + 1) * this.#size);
    for (let i = 0; i < from.length; i++) codes[i] = step === 0 ? 0 : from[i]! / step + magic - magic;
  }

  read(row: number, to: Float32Array): void {
    const step = this.#steps[row]!;
    const codes = this.#codes.subarray(row * this.#size, (row + 1) * this.#size);
    for (let i = 0; i < codes.length; i++) to[i] = codes[i]! * step;
  }
}

/**
 * One value of `samples` samples. Memory: 4 bytes an element, 2 where that would be more than 64 MiB; freed with the object.
 */
export class SampleCache {
  readonly samples: number;
  #rows: Storage | undefined;
  #dims: readonly number[] = [];
  #layout: Layout = "row-major";
  /** Elements of one sample. */
  #size = 0;

  constructor(samples: number) {
    this.samples = samples;
  }

  get size(): number {
    return this.#size;
  }

  /** Copies a batch in, from sample `first` on; rows beyond the last sample are left out. */
  write(first: number, value: DeviceTensor, memory: Float32Array): void {
    const batch = value.dims[0]!;
    const size = value.dims.reduce((p, d) => p * d, 1) / batch;
    if (!this.#rows) {
      this.#rows = this.samples * size * 4 > mostBytes ? new Halved(this.samples, size) : new Whole(this.samples, size);
      [this.#size, this.#dims, this.#layout] = [size, value.dims.slice(1), value.layout];
    }
    assert(size === this.#size && value.layout === this.#layout, "all batches of a value have one shape and layout");
    for (let i = 0; i < batch && first + i < this.samples; i++) {
      const at = value.ptr / 4 + i * size;
      this.#rows.write(first + i, memory.subarray(at, at + size));
    }
  }

  /** The named samples at `ptr`, one after the other. */
  gather(indices: readonly number[], ptr: number, memory: Float32Array): DeviceTensor {
    const size = this.#size;
    assert(this.#rows, "a value is written before it is read");
    for (const [i, index] of indices.entries()) {
      const at = ptr / 4 + i * size;
      this.#rows.read(index, memory.subarray(at, at + size));
    }
    return this.at(ptr, indices.length);
  }

  /** A tensor of this value's shape. */
  at(ptr: number, batch: number): DeviceTensor {
    return { dims: [batch, ...this.#dims], layout: this.#layout, ptr };
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

  /** Forgets everything that is not among `names`. */
  keep(names: ReadonlySet<string>): void {
    for (const name of [...this.#values.keys()]) if (!names.has(name)) this.#values.delete(name);
  }
}
