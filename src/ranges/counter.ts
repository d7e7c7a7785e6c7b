// Counts float32 values where they lie, in the linear memory of the instance that made them.

import { bucketsPerOctave, octaves } from "./histogram.ts";
import type { Histogram } from "./histogram.ts";

/** What a counter needs of a float.wasm instance. */
export interface CounterHost {
  readonly kernels: {
    histogramCount(x: number, n: number, table: number, facts: number): void;
    histogramDrain(table: number, first: number, last: number, pages: number, used: number): void;
  };
  readonly memory: WebAssembly.Memory;
  /** 16-byte aligned. */
  allocate(bytes: number): number;
}

const tableBytes = 65_536 * 4 * 8;
const factsBytes = 32;
const pageBytes = 2 * bucketsPerOctave * 8;
/** Below 2²⁴, where a counter of the table would overflow; about 4 ms of counting. */
const valuesPerCall = 4_194_304;

/** One table of counters, 3 MB of linear memory taken once and used for every histogram of the instance in turn. */
export class Counter {
  readonly #host: CounterHost;
  readonly #table: number;
  readonly #facts: number;
  readonly #pages: number;
  readonly #used: number;

  constructor(host: CounterHost) {
    this.#host = host;
    this.#table = host.allocate(tableBytes + factsBytes + octaves * pageBytes + octaves);
    this.#facts = this.#table + tableBytes;
    this.#pages = this.#facts + factsBytes;
    this.#used = this.#pages + octaves * pageBytes;
    new Uint8Array(host.memory.buffer, this.#table, tableBytes).fill(0);
    this.#clearFacts();
  }

  /**
   * Adds n float32 values to a histogram.
   *
   * @param ptr 16-byte aligned address of float32[n]; order and layout of the values do not matter
   */
  count(ptr: number, n: number, into: Histogram): void {
    for (let start = 0; start < n; start += valuesPerCall) {
      this.#host.kernels.histogramCount(ptr + 4 * start, Math.min(valuesPerCall, n - start), this.#table, this.#facts);
      this.#drain(into);
    }
  }

  #drain(into: Histogram): void {
    const { buffer } = this.#host.memory;
    const [max, min] = new Float32Array(buffer, this.#facts, 2);
    const [zeros, minusZeros, least, greatest] = new Uint32Array(buffer, this.#facts + 8, 4);
    this.#clearFacts();
    into.addExtrema(min!, max!);
    const signed = octaves / 2;
    this.#drainOctaves(0, 1, zeros!, into);
    this.#drainOctaves(signed, signed + 1, minusZeros!, into);
    if (greatest === 0) return; // nothing but zeros
    const first = Math.max(1, (least! + 1) >>> 23);
    const end = (greatest! >>> 23) + 1;
    this.#drainOctaves(first, end, 0, into);
    this.#drainOctaves(signed + first, signed + end, 0, into);
  }

  /** @param zeros among the members of the first bucket */
  #drainOctaves(first: number, end: number, zeros: number, into: Histogram): void {
    if (first >= end) return;
    this.#host.kernels.histogramDrain(this.#table, first, end, this.#pages, this.#used);
    const { buffer } = this.#host.memory;
    const words = new Float64Array(buffer, this.#pages, ((end - first) * pageBytes) / 8);
    const used = new Uint8Array(buffer, this.#used, end - first);
    used.forEach((any, i) => {
      if (any) into.addOctave(first + i, words, (i * pageBytes) / 8, zeros);
    });
  }

  #clearFacts(): void {
    new Uint32Array(this.#host.memory.buffer, this.#facts, 6).set([0, 0, 0, 0, 0xffffffff, 0]);
  }
}
