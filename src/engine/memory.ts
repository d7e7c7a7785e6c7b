import { assert, HalftoneError } from "../errors.ts";

interface Block {
  start: number;
  bytes: number;
}

const align = 16;
const pageBytes = 65_536;
/** Kept memory is taken in chunks, so that it does not cut the free space into crumbs. */
const chunkBytes = 262_144;

/**
 * The free space of one linear memory: best fit over blocks sorted by address, neighbours merged when freed.
 * Blocks are 16-byte aligned and followed by 16 bytes that may be read: vector loads may run over the end.
 */
export class LinearMemory {
  readonly memory: WebAssembly.Memory;
  readonly #free: Block[] = [];
  readonly #taken: Map<number, number> = new Map();
  #chunk: Block = { start: 0, bytes: 0 };
  #top: number;
  #used: number;
  #peak: number;
  #view: Float32Array;

  /** @param base first byte that may be used */
  constructor(memory: WebAssembly.Memory, base: number) {
    this.memory = memory;
    this.#top = Math.ceil(base / align) * align;
    this.#used = this.#top;
    this.#peak = this.#top;
    this.#view = new Float32Array(memory.buffer);
  }

  /** Current view of the whole memory as float32; a later allocation may detach it. */
  get f32(): Float32Array {
    if (this.#view.buffer !== this.memory.buffer) this.#view = new Float32Array(this.memory.buffer);
    return this.#view;
  }

  /** Bytes in use at most so far, static data included. */
  get peakBytes(): number {
    return this.#peak;
  }

  /**
   * Contents undefined.
   * @throws HalftoneError OUT_OF_MEMORY when the host gives no more pages
   */
  allocate(bytes: number): number {
    const size = Math.ceil(bytes / align) * align + align;
    const start = this.#takeFree(size) ?? this.#takeTop(size);
    this.#taken.set(start, size);
    this.#used += size;
    this.#peak = Math.max(this.#peak, this.#used);
    return start;
  }

  /** Memory that is never freed: constants and packed weights. */
  keep(bytes: number): number {
    const size = Math.ceil(bytes / align) * align + align;
    if (size > this.#chunk.bytes) {
      const whole = Math.max(size, chunkBytes);
      this.#chunk = { start: this.allocate(whole), bytes: whole };
    }
    const { start } = this.#chunk;
    this.#chunk = { start: start + size, bytes: this.#chunk.bytes - size };
    return start;
  }

  free(start: number): void {
    const bytes = this.#taken.get(start);
    assert(bytes !== undefined, `block ${start} is in use`);
    this.#taken.delete(start);
    this.#used -= bytes;
    const blocks = this.#free;
    let at = blocks.length;
    while (at > 0 && blocks[at - 1]!.start > start) at--;
    blocks.splice(at, 0, { start, bytes });
    this.#merge(at);
    if (at > 0) this.#merge(at - 1);
    const last = blocks.at(-1)!;
    if (last.start + last.bytes === this.#top) {
      this.#top = last.start;
      blocks.pop();
    }
  }

  #merge(at: number): void {
    const block = this.#free[at]!;
    const next = this.#free[at + 1];
    if (next && block.start + block.bytes === next.start) {
      block.bytes += next.bytes;
      this.#free.splice(at + 1, 1);
    }
  }

  #takeFree(bytes: number): number | undefined {
    let best = -1;
    for (let i = 0; i < this.#free.length; i++) {
      const size = this.#free[i]!.bytes;
      if (size >= bytes && (best < 0 || size < this.#free[best]!.bytes)) best = i;
    }
    if (best < 0) return undefined;
    const block = this.#free[best]!;
    const { start } = block;
    block.start += bytes;
    block.bytes -= bytes;
    if (block.bytes === 0) this.#free.splice(best, 1);
    return start;
  }

  #takeTop(bytes: number): number {
    const start = this.#top;
    const missing = start + bytes - this.memory.buffer.byteLength;
    if (missing > 0) this.#grow(Math.ceil(missing / pageBytes), bytes);
    this.#top = start + bytes;
    return start;
  }

  #grow(pages: number, bytes: number): void {
    try {
      this.memory.grow(pages);
    } catch {
      const found = `a request for ${bytes} bytes beside the ${this.#used} in use`;
      throw new HalftoneError("OUT_OF_MEMORY", "float engine", found, "a host that gives the memory", "Run fewer samples at once.");
    }
  }
}
