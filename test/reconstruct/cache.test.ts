import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { Caches, SampleCache } from "../../src/reconstruct/cache.ts";

const values = (n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.37) * (1 + (i % 7)));

test("samples come back bit for bit, in any order, the last batch cut to the samples there are", () => {
  const cache = new SampleCache(5);
  const data = values(48);
  cache.write(0, { dims: [4, 2, 4], layout: "channels-last", ptr: 0 }, data);
  cache.write(4, { dims: [4, 2, 4], layout: "channels-last", ptr: 64 }, data);
  const memory = new Float32Array(40);
  const tensor = cache.gather([4, 0, 3], 32, memory);
  expect(tensor).toEqual({ dims: [3, 2, 4], layout: "channels-last", ptr: 32 });
  expect([...memory.subarray(8, 32)]).toEqual([...data.subarray(16, 24), ...data.subarray(0, 8), ...data.subarray(24, 32)]);
});

test("a large value is kept in 16 bits, to 2⁻¹⁶ of each sample's largest; zeros stay zeros", () => {
  const size = 1 << 20;
  const cache = new SampleCache(17);
  const data = values(2 * size).map((v, i) => (i < size ? v : 0));
  for (let first = 0; first < 17; first += 2) cache.write(first, { dims: [2, size], layout: "row-major", ptr: 0 }, data);
  const memory = new Float32Array(2 * size);
  cache.gather([16, 1], 0, memory);
  let worst = 0;
  for (let i = 0; i < size; i++) worst = Math.max(worst, Math.abs(memory[i]! - data[i]!));
  const most = data.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  expect(worst).toBeGreaterThan(0);
  expect(worst).toBeLessThanOrEqual((most / 65534) * 1.01);
  expect(memory.subarray(size).every((v) => v === 0)).toBe(true);
});

test("a large value that is codes is kept in one byte an element, exactly", () => {
  const size = 1 << 20;
  const [step, low] = [Math.fround(0.0371), -128];
  const cache = new SampleCache(17, undefined, { step, low });
  const data = Float32Array.from({ length: size }, (_, i) => ((i % 256) + low) * step);
  for (let row = 0; row < 17; row++) cache.write(row, { dims: [1, size], layout: "row-major", ptr: 0 }, data);
  expect(cache.data.rows.kind).toBe("steps");
  const memory = new Float32Array(size);
  cache.gather([16], 0, memory);
  expect(Buffer.compare(Buffer.from(memory.buffer), Buffer.from(data.buffer))).toBe(0);
});

/** What another thread reads from an open file of this one. */
const readElsewhere = (file: number, position: number, length: number): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    const code = `const { parentPort, workerData: { file, position, length } } = require("node:worker_threads");
      const bytes = new Uint8Array(length);
      require("node:fs").readSync(file, bytes, 0, length, position);
      parentPort.postMessage(bytes);`;
    new Worker(code, { eval: true, workerData: { file, position, length } }).on("message", resolve).on("error", reject);
  });

test("beyond 128 MiB in few bits a value lies in a file without a name, which other threads read too", async () => {
  const size = 1 << 20;
  const cache = new SampleCache(130, undefined, { step: 0.5, low: 0 });
  const row = Float32Array.from({ length: size }, (_, i) => (i % 256) / 2);
  for (const at of [0, 77, 129])
    cache.write(
      at,
      { dims: [1, size], layout: "row-major", ptr: 0 },
      row.map((v) => (v + at / 2) % 128),
    );
  const { rows } = cache.data;
  expect(rows).toMatchObject({ kind: "steps", place: { shelf: expect.any(Number) } });
  const memory = new Float32Array(2 * size);
  SampleCache.of(structuredClone(cache.data)).gather([77, 129], 0, memory);
  const expected = Float32Array.from({ length: 2 * size }, (_, i) => (row[i % size]! + (i < size ? 77 : 129) / 2) % 128);
  expect(Buffer.compare(Buffer.from(memory.buffer), Buffer.from(expected.buffer))).toBe(0);
  const { shelf } = (rows as { place: { shelf: number } }).place;
  expect(await readElsewhere(shelf, 129 * size + 5, 4)).toEqual(Uint8Array.from([134, 135, 136, 137]));
  cache.release();
  cache.release();
  expect(() => cache.data).toThrow("written before it is read");
});

test("values are forgotten when nobody reads them any more", () => {
  const caches = new Caches();
  caches.set("a", new SampleCache(1));
  caches.set("b", new SampleCache(1));
  caches.keep(new Set(["b"]));
  expect([caches.has("a"), caches.has("b")]).toEqual([false, true]);
  expect(() => caches.get("a")).toThrow("'a' is cached");
});
