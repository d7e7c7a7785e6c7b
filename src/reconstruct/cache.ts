// Values of all calibration samples, kept on the host in the layout the engine made them, from their maker to their last reader.
import type { DeviceTensor, Layout } from "../engine/types.ts";
import { assert } from "../errors.ts";

/** One value of `samples` samples. Memory: 4 bytes an element; freed with the object. */
export class SampleCache {
  readonly samples: number;
  #values: Float32Array | undefined;
  #dims: readonly number[] = [];
  #layout: Layout = "row-major";

  constructor(samples: number) {
    this.samples = samples;
  }

  /** Elements of one sample. */
  get size(): number {
    return (this.#values?.length ?? 0) / this.samples;
  }

  /** Copies a batch in, from sample `first` on. */
  write(first: number, value: DeviceTensor, memory: Float32Array): void {
    const n = value.dims.reduce((p, d) => p * d, 1);
    const batch = value.dims[0]!;
    if (!this.#values) {
      this.#values = new Float32Array((n / batch) * this.samples);
      this.#dims = value.dims.slice(1);
      this.#layout = value.layout;
    }
    assert(n / batch === this.size && value.layout === this.#layout, "all batches of a value have one shape and layout");
    const count = Math.min(batch, this.samples - first);
    this.#values.set(memory.subarray(value.ptr / 4, value.ptr / 4 + count * this.size), first * this.size);
  }

  /** The named samples at `ptr`, one after the other. */
  gather(indices: readonly number[], ptr: number, memory: Float32Array): DeviceTensor {
    const { size } = this;
    assert(this.#values, "a value is written before it is read");
    for (const [i, index] of indices.entries()) memory.set(this.#values.subarray(index * size, (index + 1) * size), ptr / 4 + i * size);
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
