import { readFileSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import { openData } from "../src/cli/data-flags.ts";
import { evaluate } from "../src/evaluate.ts";
import { lower } from "../src/lower/lower.ts";
import { writePlan } from "../src/plan/writer.ts";
import { quantize } from "../src/quantize.ts";
import { createExecutor } from "../src/tasks/index.ts";
import { memoryStore } from "../src/tasks/store.ts";
import { fingerprint, run } from "./reconstruct/network.ts";
import { buildWorkers } from "./tasks/build.ts";

const workers = await buildWorkers();
afterAll(workers.remove);

const auto = { method: "auto", learning: { iterations: 6 } } as const;

test("a network is learned as a whole to the same bytes here, in one worker and in two, which share the work", async () => {
  const here = await run(auto);
  expect(fingerprint(here.quantized)).not.toBe(fingerprint((await run({ ...auto, learning: { iterations: 1 } })).quantized));
  expect(fingerprint(here.quantized)).not.toBe(fingerprint((await run({ ...auto, seed: 1 })).quantized));
  for (const count of [1, 2]) {
    const executor = await createExecutor({ workers: count, workerUrl: workers.product });
    try {
      const there = await run(auto, { executor });
      expect(fingerprint(there.quantized)).toBe(fingerprint(here.quantized));
      expect([...there.quantized.biases!]).toEqual([...here.quantized.biases!]);
      for (const done of executor.done) expect(done).toBeGreaterThan(6);
    } finally {
      await executor.close();
    }
  }
});

test("a cancelled run ends at a step", async () => {
  const abort = new AbortController();
  const learning = { iterations: 100_000 };
  let steps = 0;
  const done = run(
    { ...auto, learning },
    {
      signal: abort.signal,
      onProgress({ stage, done }) {
        if (stage === "whole" && done === 3) abort.abort();
        if (stage === "whole") steps = done;
      },
    },
  );
  await expect(done).rejects.toMatchObject({ code: "CANCELLED" });
  expect(steps).toBe(3);
});

test("a run that was stopped continues from its last checkpoint to the same bytes", async () => {
  const learning = { iterations: 220 };
  const checkpoints = memoryStore();
  const abort = new AbortController();
  const stages: number[] = [];
  const watch = (stop: number) => ({
    checkpoints,
    signal: stop > 0 ? abort.signal : undefined,
    onProgress({ stage, done }: { stage: string; done: number }) {
      if (stage !== "whole") return;
      stages.push(done);
      if (done === stop) abort.abort();
    },
  });
  await expect(run({ ...auto, learning }, watch(210))).rejects.toMatchObject({ code: "CANCELLED" });
  stages.length = 0;
  const resumed = await run({ ...auto, learning }, watch(0));
  expect(stages.filter((done) => done > 0)[0]).toBe(201);
  expect(fingerprint(resumed.quantized)).toBe(fingerprint((await run({ ...auto, learning })).quantized));
});

test("the number of steps is that of the budget, whatever the clock", async () => {
  const totals: (number | undefined)[] = [];
  for (const budget of [0.02, 0.02, 0.04]) {
    await run(
      { method: "auto", learning: { budget } },
      {
        onProgress: ({ stage, done, total }) => {
          if (stage === "whole" && done === 0) totals.push(total);
        },
      },
    );
  }
  expect(totals[0]).toBe(totals[1]);
  expect(totals[2]! / totals[0]!).toBeGreaterThan(2);
});

test("at the same number of steps auto is better than the nearest codes and than parts learned one after the other", async () => {
  const file = (path: string): string => new URL(`../examples/fashion/${path}`, import.meta.url).pathname;
  const model = new Uint8Array(readFileSync(new URL("fixtures/tiny.onnx", import.meta.url)));
  const preprocessing = { scale: 1 / 255, mean: [0.286], std: [0.353] };
  const dataset = await openData(file("calibration-images-idx3-ubyte.gz"), 0);
  const answers = await openData(`${file("test-images-idx3-ubyte.gz")},${file("test-labels-idx1-ubyte.gz")}`, 0);
  const agreement = async (method: string): Promise<number> => {
    const learning = method === "nearest" ? {} : { iterations: 100 };
    const options = { method, learning, weights: 4, activations: 4, samples: 256 };
    const quantized = await quantize({ model, name: "tiny", dataset, preprocessing }, options);
    return (await evaluate(await writePlan(lower(quantized)), answers, { against: model, preprocessing, limit: 1500 })).agreement!;
  };
  const [nearest, qdrop, best] = [await agreement("nearest"), await agreement("qdrop"), await agreement("auto")];
  expect(best).toBeGreaterThan(nearest);
  expect(best).toBeGreaterThan(qdrop);
});
