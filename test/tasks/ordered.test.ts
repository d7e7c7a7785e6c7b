import { expect, test } from "vitest";
import { type Lane, runOrdered } from "../../src/tasks/executors/ordered.ts";
import type { RunOptions, Task } from "../../src/tasks/types.ts";

const tasks: Task[] = Array.from({ length: 6 }, (_, payload) => ({
  kind: "n",
  options: {},
  shared: [],
  payload,
  label: `task ${payload}`,
}));

/** Two lanes on which task 0 ends when nothing else is left to do; what was told and what was consumed. */
async function slowFirst(options: RunOptions): Promise<{ told: number[]; consumed: number[] }> {
  const told: number[] = [];
  const consumed: number[] = [];
  let endFirst = (): void => {};
  const first = new Promise<void>((resolve) => {
    endFirst = resolve;
  });
  let idle: ReturnType<typeof setTimeout>;
  const lane: Lane = async ({ payload }) => {
    clearTimeout(idle);
    idle = setTimeout(endFirst, 200);
    if (payload === 0) await first;
    return payload;
  };
  await runOrdered<number>(tasks, [lane, lane], 2, (value) => consumed.push(value), {
    ...options,
    onResult(value, index) {
      expect(value).toBe(index);
      told.push(index);
    },
  });
  return { told, consumed };
}

test("results are told as they come, and consumed in order", async () => {
  expect(await slowFirst({ ahead: 6 })).toEqual({ told: [1, 2, 3, 4, 5, 0], consumed: [0, 1, 2, 3, 4, 5] });
});

test("a slow task holds the others up where few may go ahead of it", async () => {
  const { told, consumed } = await slowFirst({});
  expect(told.indexOf(0)).toBe(1);
  expect(consumed).toEqual([0, 1, 2, 3, 4, 5]);
});

test("time runs from when work on a task began, not from when it was given out", async () => {
  const late: Lane = async (task, started) => {
    await new Promise((resolve) => setTimeout(resolve, 150));
    started();
    return task.payload;
  };
  await runOrdered(tasks.slice(0, 1), [late], 1, () => {}, { onResult: (_, __, seconds) => expect(seconds).toBeLessThan(0.1) });
});
