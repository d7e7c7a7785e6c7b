import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import initWabt from "wabt";

// A copy: a small Buffer is a slice of a pool, which wabt would read from its beginning.
const binary = (name: string): Uint8Array => Uint8Array.from(readFileSync(new URL(`../../../build/${name}.wasm`, import.meta.url)));

async function floats(name: string): Promise<number> {
  const wabt = await initWabt();
  const module = wabt.readWasm(binary(name), { simd: true, bulk_memory: true });
  return module.toText({}).match(/\b(?:f32|f64)(?:x[24])?\b/g)?.length ?? 0;
}

test("integer.wasm holds no floating-point type or instruction", async () => {
  expect(await floats("integer")).toBe(0);
});

test("the same search finds the floats of float.wasm", async () => {
  expect(await floats("float")).toBeGreaterThan(0);
});

test("integer.wasm imports nothing", async () => {
  const module = await WebAssembly.compile(binary("integer") as Uint8Array<ArrayBuffer>);
  expect(WebAssembly.Module.imports(module)).toEqual([]);
});

test("integer.wasm stays small", () => {
  expect(binary("integer").length).toBeLessThan(24_000);
});
