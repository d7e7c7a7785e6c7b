import { instantiate } from "@assemblyscript/loader";
import type { instantiate as instantiateFloat } from "../../build/float.js";
import { assert, HalftoneError } from "../errors.ts";

/** The raw exports of float.wasm: functions over byte pointers and 32-bit sizes. They allocate nothing. */
export type FloatKernels = Awaited<ReturnType<typeof instantiateFloat>>;

const defaultSource: URL = new URL("../../build/float.wasm", import.meta.url);
const modules: Map<string, Promise<WebAssembly.Module>> = new Map();

/**
 * Compiles float.wasm, once per address.
 *
 * @param source a compiled module (returned as it is), or where the bytes are; by default beside this package's code
 * @throws HalftoneError WASM_UNAVAILABLE when the bytes cannot be read or compiled
 */
export function loadFloat(source: URL | WebAssembly.Module = defaultSource): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return Promise.resolve(source);
  let module = modules.get(source.href);
  if (!module) {
    module = compile(source);
    modules.set(source.href, module);
    module.catch(() => modules.delete(source.href));
  }
  return module;
}

/** A fresh instance with memory of its own. The loader wraps every export at 15 ns a call, so the raw exports are taken. */
export async function instantiateKernels(module: WebAssembly.Module): Promise<FloatKernels> {
  const { instance } = await instantiate(module);
  const kernels = instance.exports as unknown as FloatKernels;
  assert(kernels.memory, "float.wasm exports its memory");
  return kernels;
}

async function compile(source: URL): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(await readBytes(source));
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new HalftoneError(
      "WASM_UNAVAILABLE",
      `float.wasm at ${source.href}`,
      found,
      "a readable WebAssembly module with SIMD",
      "Give createEngine a compiled module.",
    );
  }
}

async function readBytes(source: URL): Promise<Uint8Array<ArrayBuffer>> {
  const files = globalThis.process?.getBuiltinModule?.("node:fs");
  if (source.protocol === "file:" && files) return new Uint8Array(files.readFileSync(source));
  const response = await fetch(source);
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
