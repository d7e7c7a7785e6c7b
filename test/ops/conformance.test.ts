import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createEngine } from "../../src/engine/index.ts";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import { withData } from "../data.ts";
import { archivedCases, differenceOf, keptCases, type NodeCase, type Run } from "./cases.ts";

/** Cases that do not pass, each with its reason in one line. */
const exceptions: Readonly<Record<string, string>> = JSON.parse(readFileSync(new URL("exceptions.json", import.meta.url), "utf8"));

const runs: Readonly<Record<string, Run>> = {
  "the references": async (graph, feeds) => evaluateReference(graph, feeds),
  "the float engine": async (graph, feeds) => (await createEngine(graph)).run(feeds),
};

/** What stands against a case: a difference, or the message of an error. */
const objection = (example: NodeCase, run: Run): Promise<string | undefined> =>
  differenceOf(example, run).catch((error: Error) => error.message);

const archived = archivedCases();

describe.each(Object.entries(runs))("ONNX node cases in %s", (_, run) => {
  test.for(keptCases())("$name", async (example) => {
    expect(await differenceOf(example, run)).toBeUndefined();
  });

  test.for(archived.filter(({ name }) => !(name in exceptions)))("$name", async (example) => {
    expect(await objection(example, run)).toBeUndefined();
  });

  test.for(archived.filter(({ name }) => name in exceptions))("$name still is an exception", async (example) => {
    expect(await objection(example, run)).toBeDefined();
  });
});

withData("all 579 cases are there, and at most 90 are exceptions", () => {
  expect(archived.length).toBe(579);
  const names = new Set(archived.map(({ name }) => name));
  expect(Object.keys(exceptions).filter((name) => !names.has(name))).toEqual([]);
  expect(Object.keys(exceptions).length).toBeLessThanOrEqual(90);
});

test("an exception has a reason", () => {
  for (const reason of Object.values(exceptions)) expect(reason.length).toBeGreaterThan(10);
});
