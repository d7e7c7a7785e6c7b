// 'halftone/runtime': what users ship. An integer program and this run the same everywhere JavaScript does.
import { throwIfAborted } from "../errors.ts";
import { checkPlan, readPlan } from "../plan/reader.ts";
import type { Plan } from "../plan/types.ts";
import { loadKernels, readBytes, type WasmSource } from "./files.ts";
import { type Session, WasmSession } from "./session.ts";

export { type ErrorCode, type ErrorData, HalftoneError } from "../errors.ts";
export { readPlan } from "../plan/reader.ts";
export type { Golden, Plan, PlanValue, Step } from "../plan/types.ts";
export type { WasmSource } from "./files.ts";
export type { Session, SessionBytes, Visit } from "./session.ts";
export type { ImageLike, InputData, Inputs, InputTensor, Outputs, OutputTensor } from "./tensors.ts";

export interface SessionOptions {
  /** integer.wasm: where it is, its bytes, or the compiled module (edge runtimes); by default the file beside this package. */
  readonly wasm?: WasmSource | undefined;
  readonly signal?: AbortSignal | undefined;
  /** false skips the plan's sha-256; every other check is made all the same. */
  readonly verify?: boolean | undefined;
}

async function planOf(source: Plan | Uint8Array | ArrayBuffer | URL | string, options: SessionOptions): Promise<Plan> {
  if (source instanceof Uint8Array) return readPlan(source, options);
  if (source instanceof ArrayBuffer) return readPlan(new Uint8Array(source), options);
  if (source instanceof URL || typeof source === "string") return readPlan(await readBytes(source, "plan"), options);
  checkPlan(source);
  return source;
}

/**
 * Reads and checks a plan, and places it in the linear memory of a fresh instance of integer.wasm.
 *
 * @param source the plan, the bytes of its file, its address, or its path
 * @throws HalftoneError PLAN_MALFORMED, PLAN_VERSION, FILE_UNREADABLE, WASM_UNAVAILABLE, OUT_OF_MEMORY or CANCELLED
 */
export async function createSession(
  source: Plan | Uint8Array | ArrayBuffer | URL | string,
  options: SessionOptions = {},
): Promise<Session> {
  throwIfAborted(options.signal, "session");
  const [plan, kernels] = await Promise.all([planOf(source, options), loadKernels(options.wasm)]);
  throwIfAborted(options.signal, "session");
  return new WasmSession(plan, kernels);
}
