import { readFile } from "node:fs/promises";

let compiled: Promise<WebAssembly.Module> | undefined;

/** integer.wasm, compiled once per test file. */
export function integerModule(): Promise<WebAssembly.Module> {
  compiled ??= readFile(new URL("../../build/integer.wasm", import.meta.url)).then((bytes) => WebAssembly.compile(new Uint8Array(bytes)));
  return compiled;
}
