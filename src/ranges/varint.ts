// Whole numbers of 0 … 2⁵³ − 1 as bytes of 7 bits, least significant first (LEB128): counts are mostly small.

/** Writes numbers one after the other. One writer serves many sequences: its memory is that of the longest. */
export class VarintWriter {
  #bytes = new Uint8Array(65_536);
  #at = 0;

  write(value: number): void {
    if (this.#at + 8 > this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#bytes.length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#at++] = rest;
  }

  /** A copy of what was written since the last call. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.slice(0, this.#at);
    this.#at = 0;
    return taken;
  }
}

/** Reads numbers one after the other; `done` when none is left. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  next(): number {
    let value = 0;
    for (let place = 1; ; place *= 128) {
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 0x7f) * place;
      if (byte < 0x80) return value;
    }
  }
}
