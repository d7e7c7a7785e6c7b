import { afterEach, expect, test, vi } from "vitest";
import { PartLog } from "../../src/cli/parts.ts";
import { ProgressBar } from "../../src/cli/terminal.ts";

const written: string[] = [];
vi.spyOn(process.stderr, "write").mockImplementation((text) => {
  written.push(String(text));
  return true;
});
afterEach(() => {
  written.length = 0;
});

test.for(["reconstruct", "whole"])("with --json stage '%s' tells of itself, at most once a second", (stage) => {
  const log = new PartLog(true, new ProgressBar());
  for (let done = 0; done <= 5; done++) log.onProgress({ stage, done, total: 5, secondsLeft: 5 - done });
  expect(written.map((line) => JSON.parse(line))).toEqual([{ event: "progress", stage, done: 0, total: 5, secondsLeft: 5 }]);
});

test("stages of seconds stay silent", () => {
  new PartLog(true, new ProgressBar()).onProgress({ stage: "calibrate", done: 1, total: 2 });
  expect(written).toEqual([]);
});
