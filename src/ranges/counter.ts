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
const factsBytes = 16;
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
    new Uint8Array(host.memory.buffer, this.#table, tableBytes + factsBytes).fill(0);
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
    this.#host.kernels.histogramDrain(this.#table, 0, octaves, this.#pages, this.#used);
    const { buffer } = this.#host.memory;
    const extrema = new Float32Array(buffer, this.#facts, 2);
    const zeros = new Uint32Array(buffer, this.#facts + 8, 2);
    const used = new Uint8Array(buffer, this.#used, octaves);
    for (let octave = 0; octave < octaves; octave++) {
      if (!used[octave]) continue;
      const page = new Float64Array(buffer, this.#pages + octave * pageBytes, 2 * bucketsPerOctave);
      into.addOctave(octave, page, octave === 0 ? zeros[0] : octave === octaves / 2 ? zeros[1] : 0);
    }
    into.addExtrema(extrema[1]!, extrema[0]!);
    extrema.fill(0);
    zeros.fill(0);
  }
}
