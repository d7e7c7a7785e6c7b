import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import { prepare } from "../../src/graph/prepare.ts";
import { readModel } from "../../src/onnx/read.ts";
import { writeModel } from "../../src/onnx/write.ts";
import { archivedCases, differenceOf, keptCases, type Run } from "../ops/cases.ts";

// What rewrites and the writer may not change is what ONNX's own cases say an operator means.

const exceptions: Readonly<Record<string, string>> = JSON.parse(readFileSync(new URL("../ops/exceptions.json", import.meta.url), "utf8"));

const ways: Readonly<Record<string, Run>> = {
  prepared: async (graph, feeds) => evaluateReference(prepare(graph), feeds),
  "written and read back": async (graph, feeds) => evaluateReference(readModel(writeModel(graph), { float16: "keep" }), feeds),
};

describe.each(Object.entries(ways))("ONNX node cases, %s", (_, run) => {
  const archived = archivedCases().filter(({ name }) => !(name in exceptions));
  test.for([...keptCases(), ...archived])("$name", async (example) => {
    expect(await differenceOf(example, run)).toBeUndefined();
  });
});
