import { expect, test } from "vitest";
import { createContext } from "../../src/tasks/context.ts";
import { createMeter } from "../../src/tasks/progress.ts";
import type { Progress } from "../../src/tasks/types.ts";

test("the time left is what the rest takes at the pace so far", () => {
  let clock = 1000;
  const seen: Progress[] = [];
  const meter = createMeter(
    "evaluate",
    100,
    (progress) => seen.push(progress),
    () => clock,
  );
  clock += 5000;
  meter(20);
  meter(100);
  expect(seen).toEqual([
    { stage: "evaluate", done: 0, total: 100 },
    { stage: "evaluate", done: 20, total: 100, secondsLeft: 20 },
    { stage: "evaluate", done: 100, total: 100, secondsLeft: 0 },
  ]);
});

test("without a total there is no time left to tell", () => {
  const seen: Progress[] = [];
  createMeter("read", undefined, (progress) => seen.push(progress))(3);
  expect(seen.at(-1)).toMatchObject({ done: 3, secondsLeft: undefined });
});

test("the memo makes a thing once, forgets the one unused for longest, and does not keep a failure", async () => {
  const { memo } = createContext(new Map());
  const made: string[] = [];
  const get = (key: string): Promise<string> =>
    memo(key, async () => {
      made.push(key);
      return key;
    });
  for (const key of ["a", "b", "a", "c", "a", "b"]) expect(await get(key)).toBe(key);
  expect(made).toEqual(["a", "b", "c", "b"]);

  let attempts = 0;
  const flaky = (): Promise<number> =>
    memo("flaky", async () => {
      if (++attempts === 1) throw new Error("first");
      return attempts;
    });
  await expect(flaky()).rejects.toThrow("first");
  expect(await flaky()).toBe(2);
});
