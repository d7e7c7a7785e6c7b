import { convertLayout, sameInBothLayouts, sizeOf } from "../ops/strided.ts";
import type { DeviceTensor, Layout } from "./types.ts";
import type { Device } from "./values.ts";

/** Memory that several gradients may share: an addition hands its own on to both operands. Lent memory is never written or freed. */
interface Buffer {
  readonly ptr: number;
  readonly lent: boolean;
  users: number;
}

interface Gradient {
  tensor: DeviceTensor;
  buffer: Buffer;
}

/** The gradients on their way through one backward pass, by number of their value; a second one for a value is added to the first. */
export class Gradients {
  readonly #device: Device;
  readonly #held: Map<number, Gradient> = new Map();

  constructor(device: Device) {
    this.#device = device;
  }

  has(id: number): boolean {
    return this.#held.has(id);
  }

  /** A gradient without value yet, of memory that `put` takes over. */
  allocate(dims: readonly number[], layout: Layout): DeviceTensor {
    return { dims, layout, ptr: this.#device.memory.allocate(sizeOf(dims) * 4) };
  }

  /** Adds a gradient that owns its memory, or one in the caller's. */
  put(id: number, tensor: DeviceTensor, lent = false): void {
    this.#add(id, { tensor, buffer: { ptr: tensor.ptr, lent, users: 1 } });
  }

  /** Adds the gradient of `from`, its elements read as `dims`, to that of `id`, without a copy where `id` has none. */
  share(id: number, from: number, dims: readonly number[]): void {
    const { tensor, buffer } = this.#held.get(from)!;
    buffer.users++;
    this.#add(id, { tensor: { ...tensor, dims }, buffer });
  }

  /** The gradient in a layout, converted for good. */
  in(id: number, layout: Layout): DeviceTensor | undefined {
    const gradient = this.#held.get(id);
    if (!gradient) return undefined;
    const { tensor } = gradient;
    if (tensor.layout === layout) return tensor;
    if (sameInBothLayouts(tensor.dims)) gradient.tensor = { ...tensor, layout };
    else this.#replace(gradient, this.#converted(tensor, layout));
    return gradient.tensor;
  }

  /** True when nobody else uses its memory, so that it may be written over. */
  isOwn(id: number): boolean {
    const buffer = this.#held.get(id)?.buffer;
    return buffer !== undefined && !buffer.lent && buffer.users === 1;
  }

  /** The gradient in memory of its own, free to be changed. */
  own(id: number): DeviceTensor | undefined {
    const gradient = this.#held.get(id);
    if (gradient && !this.isOwn(id)) this.#replace(gradient, this.#copied(gradient.tensor));
    return gradient?.tensor;
  }

  /** Takes a gradient of its own out, memory and all. */
  takeOver(id: number): void {
    this.#held.delete(id);
  }

  free(id: number): void {
    const gradient = this.#held.get(id);
    if (gradient) this.#release(gradient.buffer);
    this.#held.delete(id);
  }

  freeAll(): void {
    for (const id of [...this.#held.keys()]) this.free(id);
  }

  /** to += gradient of `id`, whatever their layouts. */
  addTo(to: DeviceTensor, id: number): void {
    const gradient = this.#held.get(id);
    if (gradient) this.#accumulate(to, gradient.tensor);
  }

  #add(id: number, added: Gradient): void {
    const held = this.#held.get(id);
    if (!held) {
      this.#held.set(id, added);
      return;
    }
    const spare = (buffer: Buffer): boolean => !buffer.lent && buffer.users === 1;
    // A sum of two has the same bits in either order: the one whose memory is free takes it.
    const [to, from] = !spare(held.buffer) && spare(added.buffer) ? [added, held] : [held, added];
    if (!spare(to.buffer)) this.#replace(to, this.#copied(to.tensor));
    this.#accumulate(to.tensor, from.tensor);
    this.#held.set(id, to);
    this.#release(from.buffer);
  }

  #accumulate(to: DeviceTensor, from: DeviceTensor): void {
    const { kernels, memory } = this.#device;
    const same = to.layout === from.layout || sameInBothLayouts(to.dims);
    const source = same ? from : this.#converted(from, to.layout);
    kernels.accumulate(to.ptr, source.ptr, sizeOf(to.dims));
    if (!same) memory.free(source.ptr);
  }

  #converted(tensor: DeviceTensor, layout: Layout): DeviceTensor {
    const result = this.allocate(tensor.dims, layout);
    convertLayout(this.#device.kernels, result.ptr, tensor, layout);
    return result;
  }

  #copied(tensor: DeviceTensor): DeviceTensor {
    const result = this.allocate(tensor.dims, tensor.layout);
    this.#device.kernels.copyBytes(result.ptr, tensor.ptr, sizeOf(tensor.dims) * 4);
    return result;
  }

  #replace(gradient: Gradient, tensor: DeviceTensor): void {
    this.#release(gradient.buffer);
    gradient.tensor = tensor;
    gradient.buffer = { ptr: tensor.ptr, lent: false, users: 1 };
  }

  #release(buffer: Buffer): void {
    buffer.users--;
    if (buffer.users === 0 && !buffer.lent) this.#device.memory.free(buffer.ptr);
  }
}
