import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { HalftoneError } from "../../src/errors.ts";
import { createExecutor, defaultWorkers } from "../../src/tasks/executors/index.ts";
import { createInlineExecutor } from "../../src/tasks/executors/inline.ts";
import { createPool } from "../../src/tasks/executors/pool.ts";
import { blobOf, sha256 } from "../../src/tasks/hash.ts";
import type { Blob, Executor, Task } from "../../src/tasks/types.ts";
import { buildWorkers } from "./build.ts";
import { testKinds } from "./kinds.ts";

const workers = await buildWorkers();
afterAll(workers.remove);

function executor(count: number, patience?: number): Executor {
  const made = count === 0 ? createInlineExecutor(testKinds) : createPool(count, workers.test, patience);
  onTestFinished(() => made.close());
  return made;
}

const task = (kind: string, payload: unknown, shared: readonly Blob[] = []): Task => ({
  kind,
  payload,
  shared,
  options: undefined,
  label: kind,
});

async function collect<T>(executor: Executor, tasks: Iterable<Task> | AsyncIterable<Task>): Promise<T[]> {
  const results: T[] = [];
  await executor.run<T>(tasks, (result, index) => {
    expect(index).toBe(results.length);
    results.push(result);
  });
  return results;
}

const numbers = (kind: string, count: number): Task[] => Array.from({ length: count }, (_, value) => task(kind, value));

async function failure(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => {
      throw new Error("did not fail");
    },
    (error: Error) => error,
  );
}

describe.each([0, 1, 2])("with %i workers", (count) => {
  test("results are the same", async () => {
    const tasks = Array.from({ length: 9 }, (_, i) => task("double", Float32Array.of(i, 0.1 * i)));
    const expected = tasks.map(({ payload }) => Float32Array.from(payload as Float32Array, (value) => value * 2));
    expect(await collect(executor(count), tasks)).toEqual(expected);
    expect((tasks[3]!.payload as Float32Array).length).toBe(2);
  });

  test("results come in the order of tasks, each task is counted once", async () => {
    const running = executor(count);
    expect(await collect(running, numbers("late", 21))).toEqual(Array.from({ length: 21 }, (_, i) => i));
    expect(running.done.length).toBe(Math.max(1, count));
    expect(running.done.reduce((sum, n) => sum + n)).toBe(21);
    if (count === 2) expect(Math.min(...running.done)).toBeGreaterThan(3);
  });

  test("tasks are pulled no further ahead than the window", async () => {
    let pulled = 0;
    let consumed = 0;
    let ahead = 0;
    async function* source(): AsyncGenerator<Task> {
      for (let i = 0; i < 30; i++) {
        pulled++;
        ahead = Math.max(ahead, pulled - consumed);
        yield task("late", i);
      }
    }
    await executor(count).run(source(), () => consumed++);
    expect(consumed).toBe(30);
    expect(ahead).toBeLessThanOrEqual(Math.max(1, 2 * count));
  });

  test("a HalftoneError arrives whole, that of the first task that fails, and the executor lives on", async () => {
    const running = executor(count);
    const seen: number[] = [];
    const error = await failure(running.run<number>(numbers("refuse", 12), (value) => seen.push(value)));
    expect(error).toBeInstanceOf(HalftoneError);
    expect((error as HalftoneError).toData()).toEqual({
      code: "NOT_FINITE",
      place: "refuse, sample 3",
      found: "NaN",
      expected: "a number",
      hint: "Look at it.",
    });
    expect(seen).toEqual([0, 1, 2]);
    expect(await collect(running, numbers("late", 3))).toEqual([0, 1, 2]);
  });

  test("another error keeps its name and message, an unknown kind is our own mistake", async () => {
    expect(await failure(collect(executor(count), [task("bug", 0)]))).toMatchObject({ name: "RangeError", message: "index 7 out of 3" });
    expect((await failure(collect(executor(count), [task("nothing", 0)]))).message).toMatch(/broken promise: task kind 'nothing'/);
  });

  test("an error of the source comes after the results before it, and closes nothing else", async () => {
    const seen: number[] = [];
    async function* source(): AsyncGenerator<Task> {
      yield task("late", 0);
      yield task("late", 1);
      throw new HalftoneError("DATA_MALFORMED", "a.png", "x", "y");
    }
    expect(await failure(executor(count).run<number>(source(), (value) => seen.push(value)))).toMatchObject({ code: "DATA_MALFORMED" });
    expect(seen).toEqual([0, 1]);
  });

  test("failures that the caller takes come in order, with their causes, and the rest is kept", async () => {
    const seen: unknown[] = [];
    let done = 0;
    await executor(count).run<number>(numbers("refuseOdd", 9), (value, index) => seen.push([index, value]), {
      onDone: (count) => {
        done = count;
      },
      onFailed: (error, index) => seen.push([index, (error as HalftoneError).place]),
    });
    expect(seen).toEqual(Array.from({ length: 9 }, (_, i) => [i, i % 2 === 1 ? `refuseOdd, sample ${i}` : i]));
    expect(done).toBe(9);
  });

  test("an error of the consumer stops the work and closes the source", async () => {
    let closed = false;
    function* source(): Generator<Task> {
      try {
        for (let i = 0; ; i++) yield task("late", i);
      } finally {
        closed = true;
      }
    }
    const stopped = executor(count).run(source(), (_, index) => {
      if (index === 4) throw new Error("enough");
    });
    expect(await failure(stopped)).toMatchObject({ message: "enough" });
    expect(closed).toBe(true);
  });

  test("a model is sent and prepared once, and left when another comes", async () => {
    const [a, b] = await Promise.all([blobOf(new Uint8Array(10)), blobOf(new Uint8Array(20))]);
    const running = executor(count);
    const results = await collect<{ times: number; bytes: number[]; held: number }>(
      running,
      [a, a, a, a, a, a].map((blob) => task("memory", 0, [blob])),
    );
    expect(results.map(({ bytes }) => bytes)).toEqual(Array(6).fill([10]));
    const preparations = results.filter(({ times }) => times === 1).length;
    expect(preparations).toBeLessThanOrEqual(Math.max(1, count));
    const both = await collect<{ bytes: number[]; held: number }>(running, [task("memory", 0, [b]), task("memory", 0, [a, b])]);
    expect(both.map(({ bytes, held }) => ({ bytes, held }))).toEqual([
      { bytes: [20], held: 1 },
      { bytes: [10, 20], held: 2 },
    ]);
  });

  test("cancellation rejects within 100 ms, before and during the work", async () => {
    const running = executor(count);
    const tasks = Array.from({ length: 4 }, () => task(count === 0 ? "breathe" : "block", count === 0 ? 200 : 1000));
    await collect(running, [task("late", 1)]);
    const controller = new AbortController();
    let aborted = 0;
    setTimeout(() => {
      aborted = performance.now();
      controller.abort();
    }, 50);
    const error = await failure(running.run(tasks, () => {}, { signal: controller.signal }));
    expect(performance.now() - aborted).toBeLessThan(100);
    expect(error).toMatchObject({ name: "HalftoneError", code: "CANCELLED" });
    expect(await failure(running.run(tasks, () => {}, { signal: controller.signal }))).toMatchObject({ code: "CANCELLED" });
  });
});

describe("a worker that breaks down", () => {
  test("in the middle of a task is replaced, and the task done again", async () => {
    const folder = await mkdtemp(join(tmpdir(), "halftone-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const tasks = Array.from({ length: 6 }, (_, value) => task("crashOnce", { marker: join(folder, "crashed"), value }));
    const running = executor(2);
    expect(await collect(running, tasks)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(running.done.reduce((sum, n) => sum + n)).toBe(6);
  });

  test("twice over one task fails it, with the cause", async () => {
    const running = executor(1);
    const error = await failure(collect(running, [task("late", 1), task("crash", 0)]));
    expect(error).toMatchObject({ name: "HalftoneError", code: "WORKER_FAILED", place: "crash" });
    expect(error.message).toMatch(/broke down twice \(out of the blue\)/);
    expect((error.cause as Error).message).toBe("out of the blue");
    expect(await collect(running, [task("late", 1)])).toEqual([1]);
  });

  test("for ever, without a word, is replaced, and the task done again", async () => {
    const folder = await mkdtemp(join(tmpdir(), "halftone-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const tasks = Array.from({ length: 4 }, (_, value) => task("hangOnce", { marker: join(folder, "hung"), value }));
    const running = executor(2, 400);
    expect(await collect(running, tasks)).toEqual([0, 1, 2, 3]);
    expect(running.done.reduce((sum, n) => sum + n)).toBe(4);
  });

  test("over the same task again and again is reported, and the rest is kept", async () => {
    const running = executor(2, 400);
    const [kept, failed]: [number[], HalftoneError[]] = [[], []];
    const tasks = [task("late", 0), task("hang", 1), task("crash", 2), task("late", 3), task("late", 4)];
    await running.run<number>(tasks, (value) => kept.push(value), { onFailed: (error) => failed.push(error as HalftoneError) });
    expect(kept).toEqual([0, 3, 4]);
    expect(failed).toMatchObject([
      { code: "WORKER_FAILED", place: "hang", cause: { message: "no sign of life for 0.4 s" } },
      { code: "WORKER_FAILED", place: "crash", cause: { message: "out of the blue" } },
    ]);
  });

  test("a task that takes longer than the patience but breathes is left alone", async () => {
    expect(await collect(executor(1, 400), [task("breathe", 200)])).toEqual([200]);
  });

  test("because its script is missing is told", async () => {
    const running = createPool(1, new URL("nowhere.js", workers.test));
    expect(await failure(collect(running, [task("late", 1)]))).toMatchObject({ code: "WORKER_FAILED" });
    await running.close();
  });
});

test.for([["--input-type=module"], ["--input-type=module", "--max-old-space-size=300"], ["--max-old-space-size=300"]])(
  "a process with %s starts the product's own workers, found beside the built files, and ends by itself after close",
  async (flags) => {
    const script = `
      import { createExecutor } from ${JSON.stringify(new URL("../src/tasks/index.js", workers.product).href)};
      const executor = await createExecutor({ workers: 2 });
      const task = { kind: "none", payload: 0, shared: [], options: 0, label: "x" };
      await executor.run([task, task], () => {}).catch((error) => console.log(error.message));
      await executor.close();`;
    const file = new URL("ends.mjs", workers.product);
    await writeFile(file, script);
    const from = flags[0] === "--input-type=module" ? ["-e", script] : [fileURLToPath(file)];
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, ...from], { timeout: 60_000 });
    expect(stdout).toMatch(/task kind 'none' is a row of the table/);
  },
);

test("a pool that is closed while it works rejects", async () => {
  const running = executor(1);
  const pending = failure(collect(running, [task("block", 500)]));
  await new Promise((resolve) => setTimeout(resolve, 100));
  await running.close();
  expect(await pending).toMatchObject({ code: "CANCELLED" });
});

test.each([-1, 1.5, Number.NaN, 1000])("%d workers are refused", async (workers) => {
  await expect(createExecutor({ workers })).rejects.toMatchObject({ code: "OPTION_INVALID", place: "--workers" });
});

test("the default number of workers is that of the machine, at most 8", () => {
  expect(defaultWorkers()).toBeGreaterThanOrEqual(1);
  expect(defaultWorkers()).toBeLessThanOrEqual(8);
});

test("hashes are sha-256", async () => {
  expect(await sha256(new TextEncoder().encode("abc"))).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});
