import { describe, expect, test } from "vitest";
import { HalftoneError } from "../../src/errors.ts";
import { createInlineExecutor } from "../../src/tasks/executors/inline.ts";
import { createSimulator, type Faults, type Happened } from "../../src/tasks/executors/simulator.ts";
import { blobOf, sha256 } from "../../src/tasks/hash.ts";
import type { TaskKinds } from "../../src/tasks/kinds.ts";
import { pack } from "../../src/tasks/pack.ts";
import type { Executor, Task } from "../../src/tasks/types.ts";

const model = await blobOf(Uint8Array.from({ length: 64 }, (_, i) => i));

const kinds: TaskKinds = {
  /** Looks at its model through the worker's memo, as the real ones do. */
  sum: {
    async run({ shared, payload }, context) {
      const weights = await context.memo(shared[0]!, async () => [...context.shared.get(shared[0]!)!]);
      return Float64Array.from(payload as Float64Array, (value, i) => value * weights[i]!);
    },
  },
  /** Depends on the worker's past. */
  impure: {
    async run({ shared }, context) {
      const past = await context.memo(shared[0]!, async () => ({ times: 0 }));
      return past.times++;
    },
  },
  fail: {
    async run({ payload, label }) {
      if (payload === 5) throw new HalftoneError("NOT_FINITE", label, "NaN", "a number");
      return payload;
    },
  },
};

const tasks: Task[] = Array.from({ length: 12 }, (_, i) => ({
  kind: "sum",
  options: {},
  shared: [model],
  payload: Float64Array.from({ length: 8 }, (_, k) => 1 / (1 + i + k)),
  label: `task ${i}`,
}));

/** One hash of all results in their order. */
async function hashOf(executor: Executor, list: readonly Task[] = tasks): Promise<string> {
  const results: unknown[] = [];
  await executor.run(list, (result, index) => {
    results[index] = result;
  });
  return sha256(pack(results));
}

const simulator = (seed: number, faults?: Partial<Faults>): ReturnType<typeof createSimulator> =>
  createSimulator(kinds, { seed, workers: 1 + (seed % 5), faults });

test("1,000 schedules with slow, crashing and forgetful workers, lost and doubled messages: one hash", async () => {
  const expected = await hashOf(createInlineExecutor(kinds));
  const total: Record<keyof Happened, number> = { executed: 0, crashed: 0, lost: 0, duplicated: 0, repeated: 0, late: 0 };
  const hashes = new Set<string>();
  for (let seed = 1; seed <= 1000; seed++) {
    const running = simulator(seed);
    hashes.add(await hashOf(running));
    for (const key of Object.keys(total) as (keyof Happened)[]) total[key] += running.happened[key];
  }
  expect([...hashes]).toEqual([expected]);
  // The schedules were no walk in the park.
  for (const count of Object.values(total)) expect(count).toBeGreaterThan(500);
  expect(total.executed).toBeGreaterThan(12_000);
});

describe("a schedule", () => {
  test("follows from its seed", async () => {
    const runs = await Promise.all(
      [7, 7, 8].map(async (seed) => {
        const running = createSimulator(kinds, { seed, workers: 3 });
        await hashOf(running);
        return { ...running.happened, done: [...running.done] };
      }),
    );
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).not.toEqual(runs[0]);
  });

  test("without faults executes each task once, on all workers", async () => {
    const running = createSimulator(kinds, { seed: 1, workers: 3, faults: { crash: 0, lose: 0, duplicate: 0 } });
    await hashOf(running);
    expect(running.happened).toEqual({ executed: 12, crashed: 0, lost: 0, duplicated: 0, repeated: 0, late: 0 });
    expect(Math.min(...running.done)).toBeGreaterThan(0);
  });

  test("shows a task whose result depends on what its worker did before", async () => {
    const impure = tasks.map((task) => ({ ...task, kind: "impure" }));
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, seed) => hashOf(simulator(seed, { crash: 0 }), impure).catch((error: Error) => error.message)),
    );
    expect(new Set(outcomes).size).toBeGreaterThan(1);
    expect(outcomes.some((outcome) => outcome.includes("gives the same bytes"))).toBe(true);
  });

  test("hands on the first failure in task order, or all of them to who takes them", async () => {
    const failing = tasks.map((task, payload) => ({ ...task, kind: "fail", payload }));
    for (let seed = 1; seed <= 20; seed++) {
      const seen: unknown[] = [];
      const run = simulator(seed).run(failing, (value) => seen.push(value));
      await expect(run).rejects.toMatchObject({ code: "NOT_FINITE", place: "task 5" });
      expect(seen).toEqual([0, 1, 2, 3, 4]);
      const failed: number[] = [];
      await simulator(seed).run(failing, () => {}, { onFailed: (_, index) => failed.push(index) });
      expect(failed).toEqual([5]);
    }
  });
});
