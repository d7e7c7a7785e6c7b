import { expect, test } from "vitest";
import { parseDuration } from "../../src/cli/terminal.ts";

test("a time has a unit", () => {
  expect(["90s", "5m", "1.5m", "1h"].map(parseDuration)).toEqual([90, 300, 90, 3600]);
  for (const text of ["5", "m", "0s", "-5m", "5 m", "5min", "1e3s", ""]) {
    expect(() => parseDuration(text)).toThrow("expected a time such as 90s, 5m or 1h");
  }
});
