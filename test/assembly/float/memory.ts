import { readFileSync } from "node:fs";

const module = new WebAssembly.Module(readFileSync(new URL("../../../build/float.wasm", import.meta.url)));

/** A fresh instance of float.wasm with a bump allocator (16-byte aligned) above its static data. */
export class Memory {
  // biome-ignore lint/suspicious/noExplicitAny: raw exports
  readonly kernels: any = new WebAssembly.Instance(module, { env: { abort() {} } }).exports;
  readonly memory: WebAssembly.Memory = this.kernels.memory;
  #top: number = this.kernels.heapBase();

  allocate(bytes: number): number {
    const start = Math.ceil(this.#top / 16) * 16;
    this.#top = start + bytes + 16;
    const missing = this.#top - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / 65536));
    return start;
  }

  put(values: Float32Array | Int8Array | Uint8Array): number {
    const ptr = this.allocate(values.byteLength);
    new Uint8Array(this.memory.buffer).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), ptr);
    return ptr;
  }

  floats(ptr: number, n: number): Float32Array {
    return new Float32Array(this.memory.buffer, ptr, n).slice();
  }

  bytes(ptr: number, n: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, ptr, n).slice();
  }
}
