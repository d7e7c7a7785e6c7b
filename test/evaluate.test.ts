import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { nodeFiles } from "../src/cli/files.ts";
import { memoryFiles } from "../src/data/files.ts";
import { encodeNpy } from "../src/data/npy.ts";
import { openDataset } from "../src/data/open.ts";
import type { Dataset } from "../src/data/types.ts";
import { evaluate } from "../src/evaluate.ts";
import { lower } from "../src/lower/lower.ts";
import { writePlan } from "../src/plan/writer.ts";
import { quantize } from "../src/quantize.ts";
import { createExecutor } from "../src/tasks/executors/index.ts";
import { buildWorkers } from "./tasks/build.ts";

const example = (name: string): string => fileURLToPath(new URL(`../examples/fashion/${name}`, import.meta.url));
const model = readFileSync(example("resnet20.onnx"));
const preprocessing = { scale: 1 / 255, mean: [0.286], std: [0.353] };
const held = (labelOffset = 0): Promise<Dataset> =>
  openDataset(`${example("test-images-idx3-ubyte.gz")},${example("test-labels-idx1-ubyte.gz")}`, nodeFiles, { labelOffset });
const dataset = await held();
const calibration = await openDataset(example("calibration-images-idx3-ubyte.gz"), nodeFiles);

const workers = await buildWorkers();
afterAll(workers.remove);

async function integerProgram(): Promise<Uint8Array> {
  return writePlan(lower(await quantize({ model, name: "resnet20.onnx", dataset: calibration, preprocessing }, { samples: 128 })));
}

describe("a float model", () => {
  test("is right as often as it was when trained", async () => {
    const { samples, top1, top5, agreement } = await evaluate(model, dataset, { preprocessing, limit: 500 });
    expect({ samples, agreement }).toEqual({ samples: 500, agreement: undefined });
    expect(top1).toBeGreaterThan(92);
    expect(top5).toBeGreaterThan(99);
  });

  test("agrees with itself", async () => {
    const found = await evaluate(model, dataset, { preprocessing, limit: 40, against: model });
    expect(found).toMatchObject({ agreement: 100, logitSqnrDb: Number.POSITIVE_INFINITY });
    expect(found.against).toEqual({ top1: found.top1, top5: found.top5 });
  });

  test("does worse with pixels it does not know", async () => {
    const right = await evaluate(model, dataset, { preprocessing, limit: 100 });
    const wrong = await evaluate(model, dataset, { preprocessing: { ...preprocessing, std: [10] }, limit: 100 });
    expect(wrong.top1).toBeLessThan(right.top1! - 10);
  });
});

test("an integer program remembers its preprocessing, and is measured against its float model, alike on any number of workers", {
  timeout: 240_000,
}, async () => {
  const plan = await integerProgram();
  const found = [];
  for (const count of [0, 1, 2]) {
    const executor = await createExecutor({ workers: count, workerUrl: workers.product });
    onTestFinished(() => executor.close());
    const progress: number[] = [];
    found.push(await evaluate(plan, dataset, { against: model, limit: 200, executor, onProgress: ({ done }) => progress.push(done) }));
    // 200 samples in slices of 16.
    expect(executor.done.reduce((sum, n) => sum + n)).toBe(13);
    expect(progress).toEqual([...Array.from({ length: 13 }, (_, i) => i * 16), 200]);
  }
  expect(found[1]).toEqual(found[0]);
  expect(found[2]).toEqual(found[0]);
  expect(found[0]!.agreement).toBeGreaterThanOrEqual(97);
  expect(found[0]!.logitSqnrDb).toBeGreaterThan(20);
  expect(found[0]!.top1).toBeGreaterThan(found[0]!.against!.top1 - 2);
});

test("skip and limit choose the samples", async () => {
  const seen: number[] = [];
  const spied: Dataset = {
    ...dataset,
    read: async (start, end) => {
      seen.push(start, end);
      return dataset.read(start, end);
    },
  };
  expect((await evaluate(model, spied, { preprocessing, skip: 5, limit: 20 })).samples).toBe(20);
  expect(seen).toEqual([5, 21, 21, 25]);
  expect((await evaluate(model, dataset, { preprocessing, skip: dataset.length - 3, limit: 20 })).samples).toBe(3);
});

describe("refused", () => {
  test.for([
    [
      "labels beyond the classes, naming the sample",
      async () => evaluate(model, await held(9), { preprocessing, limit: 64 }),
      "LABEL_RANGE",
    ],
    ["nothing left after skip", () => evaluate(model, dataset, { preprocessing, skip: dataset.length }), "DATA_EMPTY"],
    ["a negative limit", () => evaluate(model, dataset, { preprocessing, limit: -1 }), "OPTION_INVALID"],
    ["no labels and nothing to compare with", () => evaluate(model, calibration, { preprocessing, limit: 8 }), "DATA_MISMATCH"],
    ["a garbled model", () => evaluate(model.subarray(0, 1000), dataset, { preprocessing }), "ONNX_MALFORMED"],
    [
      "samples of another size",
      async () => {
        const files = memoryFiles(new Map([["x.npy", encodeNpy(new Float32Array(60), [1, 60])]]));
        return evaluate(model, await openDataset("x.npy", files), { against: model });
      },
      "DATA_MISMATCH",
    ],
  ] as const)("%s", async ([, attempt, code]) => {
    await expect(attempt()).rejects.toMatchObject({ name: "HalftoneError", code });
  });

  test("a cancelled run, within 100 ms", async () => {
    const controller = new AbortController();
    let aborted = 0;
    setTimeout(() => {
      aborted = performance.now();
      controller.abort();
    }, 300);
    await expect(evaluate(model, dataset, { preprocessing, signal: controller.signal })).rejects.toMatchObject({ code: "CANCELLED" });
    expect(performance.now() - aborted).toBeLessThan(100);
  });
});

test("data without labels gives agreement and logits alone", async () => {
  const found = await evaluate(model, calibration, { preprocessing, limit: 8, against: model });
  expect(found).toEqual({ samples: 8, agreement: 100, logitSqnrDb: Number.POSITIVE_INFINITY });
});
