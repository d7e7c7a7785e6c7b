import { readFileSync } from "node:fs";
import { afterAll, expect, onTestFinished, test } from "vitest";
import type { Dataset, Preprocessing, RawSample } from "../src/data/types.ts";
import { createEngine } from "../src/engine/index.ts";
import { HalftoneError } from "../src/errors.ts";
import { prepare } from "../src/graph/prepare.ts";
import { readModel } from "../src/onnx/read.ts";
import { findSites } from "../src/quantized/sites.ts";
import { calibrate, type CalibrationRun } from "../src/calibrate.ts";
import { Histogram } from "../src/ranges/histogram.ts";
import { createExecutor } from "../src/tasks/index.ts";
import { buildWorkers } from "./tasks/build.ts";

const workers = await buildWorkers();
afterAll(workers.remove);

const model = new Uint8Array(readFileSync(new URL("./fixtures/tiny.onnx", import.meta.url)));
const graph = prepare(readModel(model));
const values = findSites(graph, 8).map(({ value }) => value);
const preprocessing: Preprocessing = { scale: 1 / 255, mean: [0.286], std: [0.353] };

/** Pictures of 28×28 noise, each of another brightness; the reads asked for are noted. */
function pictures(length: number): Dataset & { readonly reads: [number, number][] } {
  const reads: [number, number][] = [];
  const sample = (index: number): RawSample => {
    const bytes = Uint8Array.from({ length: 784 }, (_, i) => (Math.imul(i + 1, 2654435761 + 97 * index) >>> 24) % (index + 2));
    return { place: `picture ${index}`, bytes, format: { kind: "planes", dims: [1, 28, 28] }, label: -1 };
  };
  return {
    name: "pictures",
    length,
    labelled: false,
    reads,
    async read(start, end) {
      reads.push([start, end]);
      return Array.from({ length: end - start }, (_, i) => sample(start + i));
    },
  };
}

async function calibrated(
  workerCount: number,
  run: Partial<CalibrationRun> = {},
): Promise<{ histograms: Map<string, Histogram>; done: readonly number[] }> {
  const executor = await createExecutor({ workers: workerCount, workerUrl: workers.product });
  onTestFinished(() => executor.close());
  const dataset = pictures(37);
  const histograms = await calibrate({ model, values, dataset, samples: 37, preprocessing, executor, ...run });
  return { histograms, done: executor.done };
}

const bytesOf = (histograms: ReadonlyMap<string, Histogram>): Buffer => Buffer.concat([...histograms.values()].map((h) => h.serialize()));

test("histograms hold every element of every sample, as counted from the engine's own outputs", async () => {
  const { histograms } = await calibrated(0);
  expect([...histograms.keys()]).toEqual(values);
  const engine = await createEngine(graph);
  const expected = new Map(values.map((name) => [name, new Histogram()]));
  const dataset = pictures(37);
  for (let start = 0; start < 37; start += 8) {
    const raw = await dataset.read(start, Math.min(start + 8, 37));
    const data = Float32Array.from(
      raw.flatMap(({ bytes }) => [...bytes]),
      (v) => Math.fround(Math.fround(Math.fround(v / 255) - Math.fround(0.286)) / Math.fround(0.353)),
    );
    const feeds = new Map([[graph.inputs[0]!, { dtype: "float32", dims: [raw.length, 1, 28, 28], data } as const]]);
    for (const [name, tensor] of engine.run(feeds, { also: values })) expected.get(name)?.add(tensor.data as Float32Array);
  }
  expect(expected.get(values[0]!)!.count).toBe(37 * 784);
  for (const name of values) expect(Buffer.compare(histograms.get(name)!.serialize(), expected.get(name)!.serialize()), name).toBe(0);
});

test("0, 1 and 2 workers give the same bytes, and both workers work", async () => {
  const inline = await calibrated(0);
  const one = await calibrated(1);
  const two = await calibrated(2);
  expect(Buffer.compare(bytesOf(one.histograms), bytesOf(inline.histograms))).toBe(0);
  expect(Buffer.compare(bytesOf(two.histograms), bytesOf(inline.histograms))).toBe(0);
  expect([inline.done, one.done]).toEqual([[3], [3]]);
  expect(two.done.reduce((a, b) => a + b)).toBe(3);
  expect(Math.min(...two.done)).toBeGreaterThan(0);
});

test("16 workers that take the samples one by one give the same bytes", async () => {
  const inline = await calibrated(0);
  const many = await calibrated(16, { slice: 1 });
  expect(Buffer.compare(bytesOf(many.histograms), bytesOf(inline.histograms))).toBe(0);
  expect(many.done.length).toBe(16);
  expect(Math.min(...many.done)).toBeGreaterThan(0);
});

test("fewer samples than there are come evenly from the whole set", async () => {
  const dataset = pictures(20);
  await calibrated(0, { dataset, samples: 5 });
  expect(dataset.reads.map(([start]) => start)).toEqual([0, 4, 8, 12, 16]);
});

test("progress counts samples up to all of them", async () => {
  const seen: number[] = [];
  await calibrated(0, { onProgress: ({ done, total }) => seen.push(done, total!) });
  expect(seen).toEqual([0, 37, 16, 37, 32, 37, 37, 37]);
});

test("a signal stops it", async () => {
  const controller = new AbortController();
  const run = calibrated(0, { signal: controller.signal, onProgress: ({ done }) => done > 0 && controller.abort() });
  await expect(run).rejects.toMatchObject({ code: "CANCELLED" });
});

test("samples of the wrong size are refused by name", async () => {
  const dataset = pictures(3);
  const wrong: Dataset = {
    ...dataset,
    read: async () => [{ place: "cat.png", bytes: new Uint8Array(4), format: { kind: "planes", dims: [1, 2, 2] }, label: -1 }],
  };
  const error = await calibrated(0, { dataset: wrong, samples: 3 }).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(HalftoneError);
  expect((error as HalftoneError).message).toMatch(/cat\.png/);
});
