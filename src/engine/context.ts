import type { GraphNode, Tensor } from "../graph/types.ts";
import type { FloatKernels } from "./kernels.ts";
import type { ForwardContext } from "./types.ts";
import type { Device } from "./values.ts";

/** What kernels see of the engine: scratch that ends with the step, and memory packed once per node. */
export class Context implements ForwardContext<FloatKernels> {
  readonly kernels: FloatKernels;
  readonly constant: (name: string) => Tensor | undefined;
  readonly #device: Device;
  readonly #scratch: number[] = [];
  readonly #packed: Map<GraphNode, Map<string, number>> = new Map();

  constructor(device: Device, constant: (name: string) => Tensor | undefined) {
    this.kernels = device.kernels;
    this.constant = constant;
    this.#device = device;
  }

  get f32(): Float32Array {
    return this.#device.memory.f32;
  }

  scratch(bytes: number): number {
    const ptr = this.#device.memory.allocate(bytes);
    this.#scratch.push(ptr);
    return ptr;
  }

  /** Frees all scratch: after each step. */
  endStep(): void {
    for (const ptr of this.#scratch.splice(0)) this.#device.memory.free(ptr);
  }

  once(node: GraphNode, key: string, length: number, fill: (view: Float32Array) => void): number {
    let kept = this.#packed.get(node);
    if (!kept) this.#packed.set(node, (kept = new Map()));
    let ptr = kept.get(key);
    if (ptr === undefined) {
      ptr = this.#device.memory.keep(length * 4);
      fill(this.f32.subarray(ptr / 4, ptr / 4 + length));
      kept.set(key, ptr);
    }
    return ptr;
  }
}
