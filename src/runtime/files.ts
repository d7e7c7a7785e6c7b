// Bytes of the program and of the module, wherever this runs: from disk under Node, Deno and Bun, by fetch elsewhere.
import { HalftoneError, throwIfAborted } from "../errors.ts";
import { receivePlan } from "../plan/reader.ts";
import { integerWasm, sharedWasm } from "./assets.ts";
import type { IntegerKernels } from "./kernels.ts";

/** The kernels: where they are, their bytes, or the compiled module. */
export type WasmSource = URL | WebAssembly.Module | BufferSource;

/** node:fs where there is one; looked up at run time, so that bundlers and browsers never see it. */
function fileSystem(): typeof import("node:fs") | undefined {
  return globalThis.process?.getBuiltinModule?.("node:fs");
}

async function fetched(url: URL | string, what: string, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, signal ? { signal } : {});
  } catch (error) {
    throwIfAborted(signal, "session");
    throw new HalftoneError("FILE_UNREADABLE", `${what} ${url}`, String(error), "a file", "Check the address and the network.");
  }
  if (!response.ok) throw new HalftoneError("FILE_UNREADABLE", `${what} ${url}`, `HTTP status ${response.status}`, "a file");
  return response;
}

/** "https:" and the like; a single letter is a drive of Windows. */
const scheme = /^[a-z][a-z0-9+.-]+:/i;

/** A plan at a path, a URL, or in browsers an address relative to the page. */
export async function readPlanFile(source: URL | string, signal?: AbortSignal): Promise<Uint8Array> {
  const from = typeof source === "string" && scheme.test(source) && URL.canParse(source) ? new URL(source) : source;
  if (fileSystem() !== undefined && (typeof from === "string" || from.protocol === "file:")) return readFile(from, "plan");
  const { body } = await fetched(from, "plan", signal);
  try {
    return await receivePlan(body ?? new ReadableStream());
  } catch (error) {
    if (error instanceof HalftoneError) throw error;
    throwIfAborted(signal, "session");
    throw new HalftoneError("FILE_UNREADABLE", `plan ${from}`, String(error), "a whole file", "The connection broke: try again.");
  }
}

async function readFile(path: URL | string, what: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const { buffer, byteOffset, byteLength } = await fileSystem()!.promises.readFile(path);
    return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
  } catch (error) {
    throw new HalftoneError("FILE_UNREADABLE", `${what} ${path}`, String(error), "a readable file");
  }
}

async function compile(source: URL | BufferSource): Promise<WebAssembly.Module> {
  if (!(source instanceof URL)) return WebAssembly.compile(source);
  if (source.protocol === "file:") return WebAssembly.compile(await readFile(source, "integer.wasm"));
  const response = await fetched(source, "integer.wasm");
  const streams = typeof WebAssembly.compileStreaming === "function" && response.headers.get("content-type") === "application/wasm";
  return streams ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
}

/** integer.wasm, or the build of it for threads. */
export async function loadModule(source: WasmSource | undefined, shared: boolean): Promise<WebAssembly.Module> {
  try {
    const from = source ?? (shared ? sharedWasm() : integerWasm());
    return from instanceof WebAssembly.Module ? from : await compile(from);
  } catch (error) {
    throw unavailable(error);
  }
}

/** A module for threads imports its memory; the other one brings its own. */
export function importsMemory(module: WebAssembly.Module): boolean {
  return WebAssembly.Module.imports(module).some(({ kind }) => kind === "memory");
}

/** A fresh instance. Without @assemblyscript/loader: its wrappers triple the price of a call, and nothing else of it is needed here. */
export async function loadKernels(module: WebAssembly.Module, memory: WebAssembly.Memory | undefined): Promise<IntegerKernels> {
  try {
    const { exports } = await WebAssembly.instantiate(module, memory ? { env: { memory } } : {});
    return exports as unknown as IntegerKernels;
  } catch (error) {
    throw unavailable(error);
  }
}

function unavailable(error: unknown): HalftoneError {
  return new HalftoneError(
    "WASM_UNAVAILABLE",
    "integer.wasm",
    error instanceof HalftoneError ? error.message : String(error),
    "a module that this machine can compile",
    "WebAssembly SIMD is needed; where compiling at run time is forbidden, pass { wasm } a compiled module.",
  );
}
