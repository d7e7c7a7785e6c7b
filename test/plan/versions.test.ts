// Files as earlier versions wrote them: each loads and gives the integers that it was written with.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readPlan } from "../../src/plan/reader.ts";
import { writePlan } from "../../src/plan/writer.ts";
import { createSession } from "../../src/runtime/index.ts";
import { integerModule } from "../runtime/kernels.ts";

const folder = new URL("../fixtures/", import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith(".halftone"));

/** Kernels that each version has. */
const kernels: Readonly<Record<string, number>> = { "version-1.halftone": 8, "version-2.halftone": 11 };

test("there is a file of every version", () => expect(files).toEqual(Object.keys(kernels)));

test.for(files)("%s loads, computes what it did, and is written back byte by byte", async (name) => {
  const file = new Uint8Array(readFileSync(new URL(name, folder)));
  using session = await createSession(file, { wasm: await integerModule() });
  expect(session.verify()).toBe(2);
  expect(new Set(session.plan.steps.map(({ kernel }) => kernel)).size).toBe(kernels[name]);
  expect(await writePlan(await readPlan(file))).toEqual(file);
});
