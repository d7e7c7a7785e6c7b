import { expect, test } from "vitest";
import { drawWithoutReplacement, drawWithReplacement, limitOf, randomWord, streamOf } from "../../src/reconstruct/random.ts";
import { Memory } from "../assembly/float/memory.ts";

test("words in linear memory are the words of the plain form, wherever a draw starts and ends", () => {
  const memory = new Memory();
  for (const [n, first] of [
    [1, 0],
    [7, 3],
    [64, 4294967290],
    [1000, 123],
  ] as const) {
    const stream = streamOf(1005, n, first);
    const ptr = memory.allocate(n * 4 + 16);
    memory.kernels.randomWords(ptr, n, stream.k0, stream.k1, first);
    const words = new Uint32Array(memory.memory.buffer, ptr, n);
    expect([...words]).toEqual(Array.from({ length: n }, (_, i) => randomWord(stream, (first + i) >>> 0)));
  }
});

test("a mix takes from one side with the given probability, element by element as the words say", () => {
  const memory = new Memory();
  const n = 10_003;
  const a = memory.put(new Float32Array(n).fill(1));
  const b = memory.put(new Float32Array(n).fill(2));
  const out = memory.allocate(n * 4);
  for (const p of [0.5, 0.1, 1]) {
    const stream = streamOf(7, Math.round(p * 10));
    memory.kernels.mixRandomly(out, a, b, n, limitOf(p), stream.k0, stream.k1, 0);
    const taken = memory.floats(out, n).map((x) => (x === 1 ? 1 : 0));
    expect([...taken]).toEqual(Array.from({ length: n }, (_, i) => Number(randomWord(stream, i) <= limitOf(p))));
    const share = taken.reduce((sum, x) => sum + x, 0) / n;
    expect(Math.abs(share - p)).toBeLessThanOrEqual(4 * Math.sqrt((p * (1 - p)) / n));
  }
});

/** χ² of `bins` equally likely bins, in standard deviations from its mean. */
function excess(counts: readonly number[], total: number): number {
  const expected = total / counts.length;
  const chi = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  return (chi - (counts.length - 1)) / Math.sqrt(2 * (counts.length - 1));
}

test("words are evenly spread: bytes, neighbours, and neighbouring streams", () => {
  const n = 1 << 18;
  const tallies: Record<string, number[]> = { low: [], high: [], pairs: [], streams: [], seeds: [] };
  for (const name of Object.keys(tallies)) tallies[name] = new Array(256).fill(0);
  const one = streamOf(1, 4, 9);
  const next = streamOf(1, 4, 10);
  const seed = streamOf(2, 4, 9);
  for (let i = 0; i < n; i++) {
    const word = randomWord(one, i);
    tallies.low![word & 255]!++;
    tallies.high![word >>> 24]!++;
    tallies.pairs![((word >>> 28) << 4) | (randomWord(one, i + 1) >>> 28)]!++;
    tallies.streams![((word >>> 28) << 4) | (randomWord(next, i) >>> 28)]!++;
    tallies.seeds![((word >>> 28) << 4) | (randomWord(seed, i) >>> 28)]!++;
  }
  for (const [name, counts] of Object.entries(tallies)) expect(Math.abs(excess(counts, n)), name).toBeLessThan(4.5);
});

test("every bit of an index reaches every bit of its word", () => {
  const stream = streamOf(3);
  for (let bit = 0; bit < 32; bit++) {
    const flips = new Array(32).fill(0);
    for (let i = 0; i < 2000; i++) {
      const change = randomWord(stream, i) ^ randomWord(stream, (i ^ (1 << bit)) >>> 0);
      for (let out = 0; out < 32; out++) flips[out] += (change >>> out) & 1;
    }
    for (const count of flips) expect(Math.abs(count - 1000)).toBeLessThan(6 * Math.sqrt(500));
  }
});

test("samples: with replacement any, without replacement all different, each equally often", () => {
  const counts = new Array(10).fill(0);
  for (let t = 0; t < 4000; t++) {
    const drawn = drawWithoutReplacement(streamOf(5, t), 4, 10);
    expect(new Set(drawn).size).toBe(4);
    for (const i of drawn) counts[i]++;
  }
  for (const count of counts) expect(Math.abs(count - 1600)).toBeLessThan(5 * Math.sqrt(960));
  expect(drawWithoutReplacement(streamOf(5), 20, 10).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(drawWithReplacement(streamOf(6), 1000, 3).every((i) => i >= 0 && i < 3)).toBe(true);
});

test("streams of different paths differ, and the same path is the same stream", () => {
  const keys = new Set<string>();
  for (let unit = 0; unit < 100; unit++)
    for (let step = 0; step < 500; step++) {
      const { k0, k1 } = streamOf(1005, unit, step);
      keys.add(`${k0},${k1}`);
    }
  expect(keys.size).toBe(50_000);
  expect(streamOf(1005, 1, 2)).toEqual(streamOf(1005, 1, 2));
  expect(streamOf(1005, 1, 2)).not.toEqual(streamOf(1005, 2, 1));
});
