// Files as earlier versions wrote them: each loads and gives the integers that it was written with.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readPlan } from "../../src/plan/reader.ts";
import { writePlan } from "../../src/plan/writer.ts";
import { createSession } from "../../src/runtime/index.ts";
import { integerModule } from "../runtime/kernels.ts";

const folder = new URL("../fixtures/", import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith(".halftone"));

test("there is a file of every version", () => expect(files).toContain("version-1.halftone"));

test.for(files)("%s loads, computes what it did, and is written back byte by byte", async (name) => {
  const file = new Uint8Array(readFileSync(new URL(name, folder)));
  using session = await createSession(file, { wasm: await integerModule() });
  expect(session.verify()).toBe(2);
  expect(new Set(session.plan.steps.map(({ kernel }) => kernel)).size).toBe(8);
  expect(await writePlan(await readPlan(file))).toEqual(file);
});
