import { afterAll, expect, test } from "vitest";
import { createExecutor } from "../src/tasks/index.ts";
import { fingerprint, run } from "./reconstruct/network.ts";
import { buildWorkers } from "./tasks/build.ts";

const workers = await buildWorkers();
afterAll(workers.remove);

const cases = [
  { method: "qdrop", learning: { iterations: 12, rate: 2e-2 } },
  { method: "brecq", learning: { iterations: 6, objective: "fisher" } },
  { method: "flexround", learning: { iterations: 6, batch: 5 } },
  { method: "pd-quant", learning: { iterations: 6, batch: 40 } },
] as const;

test.for(cases)("$method learns the same bytes here, in one worker and in two, which share the work", async ({ method, learning }) => {
  const here = await run({ method, learning });
  for (const count of [1, 2]) {
    const executor = await createExecutor({ workers: count, workerUrl: workers.product });
    try {
      const there = await run({ method, learning }, { executor });
      expect(fingerprint(there.quantized)).toBe(fingerprint(here.quantized));
      expect(there.parts).toEqual(here.parts);
      for (const done of executor.done) expect(done).toBeGreaterThan(20);
    } finally {
      await executor.close();
    }
  }
});

test("where threads may not share memory, messages carry the same numbers", async () => {
  const options = { method: "qdrop", learning: { iterations: 6 } } as const;
  const here = await run(options);
  const shared = globalThis.SharedArrayBuffer;
  const executor = await createExecutor({ workers: 2, workerUrl: workers.product });
  try {
    Object.assign(globalThis, { SharedArrayBuffer: undefined });
    const there = await run(options, { executor });
    expect(fingerprint(there.quantized)).toBe(fingerprint(here.quantized));
  } finally {
    Object.assign(globalThis, { SharedArrayBuffer: shared });
    await executor.close();
  }
});

test("a cancelled run ends at once, and its workers serve the next", async () => {
  const abort = new AbortController();
  const executor = await createExecutor({ workers: 2, workerUrl: workers.product });
  try {
    const learning = { iterations: 100_000 };
    const running = run(
      { method: "qdrop", learning },
      { executor, signal: abort.signal, onProgress: ({ done }) => done === 5 && abort.abort() },
    );
    await expect(running).rejects.toMatchObject({ code: "CANCELLED" });
    const learned = await run({ method: "qdrop", learning: { iterations: 3 } }, { executor });
    expect(learned.parts.length).toBe(4);
  } finally {
    await executor.close();
  }
});
