import { assert } from "../errors.ts";
import type { DType, Tensor } from "../graph/types.ts";
import { convertLayout, sameInBothLayouts, sizeOf } from "../ops/strided.ts";
import type { FloatKernels } from "./kernels.ts";
import { LinearMemory } from "./memory.ts";
import type { DeviceTensor, Layout } from "./types.ts";

/** Where a value starts: a host tensor, memory of its own, or memory `lent` by its owner, which is neither freed nor written over. */
export type Source =
  | { readonly host: Tensor; readonly constant?: boolean }
  | { readonly device: DeviceTensor; readonly lent?: "activation" | "variable" };

/**
 * One value while it lives: on the host (row-major tensor), in linear memory in one or both layouts, or on both sides.
 * Each form is made when first asked for and then kept, so a conversion happens once however many steps read it.
 */
export class Value {
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** The layout its producer wrote. */
  readonly layout: Layout;
  readonly #home: Device;
  readonly #constant: boolean;
  readonly #lent: "activation" | "variable" | undefined;
  #host: Tensor | undefined;
  readonly #forms: Map<Layout, DeviceTensor> = new Map();

  constructor(home: Device, source: Source) {
    this.#home = home;
    this.#constant = "host" in source && (source.constant ?? false);
    this.#lent = "device" in source ? source.lent : undefined;
    if ("host" in source) {
      this.#host = source.host;
      this.dtype = source.host.dtype;
      this.dims = source.host.dims;
      this.layout = "row-major";
    } else {
      this.dtype = "float32";
      this.dims = source.device.dims;
      this.layout = source.device.layout;
      this.#forms.set(this.layout, source.device);
    }
  }

  get isConstant(): boolean {
    return this.#constant;
  }

  /** True for weights, learned or not: they stay row-major, and activations adapt to them. */
  get isWeight(): boolean {
    return this.#constant || this.#lent === "variable";
  }

  /** True when a result may be written over it. */
  get isOwn(): boolean {
    return !this.#constant && this.#lent === undefined;
  }

  get size(): number {
    return sizeOf(this.dims);
  }

  /** The row-major tensor if it is at hand without reading linear memory. */
  get known(): Tensor | undefined {
    return this.#host;
  }

  /** Row-major copy. */
  host(): Tensor {
    this.#host ??= this.#home.read(this.device(this.layout));
    return this.#host;
  }

  /** The value in linear memory; a float32 value only. */
  device(layout: Layout): DeviceTensor {
    assert(this.dtype === "float32", "only float32 values go to linear memory");
    // Below rank 3 there is one order only, and row-major is its name.
    if (this.dims.length < 3 || this.dims.length > 5) layout = "row-major";
    let form = this.#forms.get(layout);
    if (!form) {
      form = this.#make(layout);
      this.#forms.set(layout, form);
    }
    return form;
  }

  /** The value in linear memory for somebody who may change it there: other forms are made anew when asked for. */
  exposed(): DeviceTensor {
    const form = this.device(this.layout);
    assert(!this.isConstant, "constants do not change");
    for (const [layout, { ptr }] of this.#forms) {
      if (layout === form.layout) continue;
      this.#forms.delete(layout);
      if (ptr !== form.ptr) this.#home.memory.free(ptr);
    }
    this.#host = undefined;
    return form;
  }

  #make(layout: Layout): DeviceTensor {
    const [other] = this.#forms.values();
    if (other) return sameInBothLayouts(this.dims) ? { ...other, layout } : this.#convert(other, layout);
    return layout === "row-major" ? this.#upload() : this.#convert(this.device("row-major"), layout);
  }

  #upload(): DeviceTensor {
    const form: DeviceTensor = { dims: this.dims, layout: "row-major", ptr: this.#take() };
    this.#home.memory.f32.set(this.host().data as Float32Array, form.ptr / 4);
    return form;
  }

  #convert(from: DeviceTensor, layout: Layout): DeviceTensor {
    const ptr = this.#take();
    convertLayout(this.#home.kernels, ptr, from, layout);
    return { dims: this.dims, layout, ptr };
  }

  #take(): number {
    const bytes = sizeOf(this.dims) * 4;
    const { memory } = this.#home;
    return this.isConstant ? memory.keep(bytes) : memory.allocate(bytes);
  }

  /** Gives the memory at `ptr` away, to the value that was written over it. */
  handOver(ptr: number): void {
    for (const [layout, form] of this.#forms) if (form.ptr === ptr) this.#forms.delete(layout);
  }

  /** Frees its linear memory; constants stay. */
  free(): void {
    if (this.isConstant) return;
    const pointers = new Set([...this.#forms.values()].map((form) => form.ptr));
    if (this.#lent) pointers.delete(this.#forms.get(this.layout)!.ptr);
    for (const ptr of pointers) this.#home.memory.free(ptr);
    this.#forms.clear();
  }
}

/** Where values live: linear memory and the kernels that move them. */
export class Device {
  readonly kernels: FloatKernels;
  readonly memory: LinearMemory;

  constructor(kernels: FloatKernels) {
    this.kernels = kernels;
    this.memory = new LinearMemory(kernels.memory, kernels.heapBase());
  }

  /** Row-major copy of a value in linear memory. */
  read(value: DeviceTensor): Tensor {
    const length = sizeOf(value.dims);
    if (value.layout === "row-major" || sameInBothLayouts(value.dims)) {
      return { dtype: "float32", dims: value.dims, data: this.memory.f32.slice(value.ptr / 4, value.ptr / 4 + length) };
    }
    const ptr = this.memory.allocate(length * 4);
    convertLayout(this.kernels, ptr, value, "row-major");
    const data = this.memory.f32.slice(ptr / 4, ptr / 4 + length);
    this.memory.free(ptr);
    return { dtype: "float32", dims: value.dims, data };
  }
}
