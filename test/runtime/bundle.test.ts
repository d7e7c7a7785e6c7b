import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { bundleRuntime } from "./bundle.ts";

const folder = await bundleRuntime("test-bundle");
const files = readdirSync(folder);
const gzipped = (name: string): number => gzipSync(readFileSync(new URL(name, folder)), { level: 9 }).length;

test("one script and the kernels, at most 38 kB gzipped; half as much again for threads", () => {
  expect(files).toEqual(["integer-threads.wasm", "integer.wasm", "runtime.js", "thread.js"]);
  console.log(`gzipped bytes of the runtime: ${files.map((name) => `${name} ${gzipped(name)}`).join(", ")}`);
  expect(gzipped("runtime.js") + gzipped("integer.wasm")).toBeLessThan(38_000);
  expect(files.reduce((sum, name) => sum + gzipped(name), 0)).toBeLessThan(56_000);
});

test.for(["runtime.js", "thread.js"])("%s imports nothing", (name) => {
  const imports = readFileSync(new URL(name, folder), "utf8").match(/\bimport\s*(?:[{*"'`(]|\w+\s+from)/g);
  expect(imports).toBeNull();
});

test("it finds its kernels beside itself, and proves a plan", async () => {
  const { createSession } = (await import(new URL("runtime.js", folder).href)) as typeof import("../../src/runtime/index.ts");
  const session = await createSession(new URL("../fixtures/version-1.halftone", import.meta.url));
  expect(session.verify()).toBe(2);
});
