// 'halftone/runtime': what users ship. An integer program and this run the same everywhere JavaScript does.
import { HalftoneError, throwIfAborted } from "../errors.ts";
import { checkPlan, readPlan } from "../plan/reader.ts";
import type { Plan } from "../plan/types.ts";
import { importsMemory, loadKernels, loadModule, readPlanFile, type WasmSource } from "./files.ts";
import { inline, place } from "./place.ts";
import { PlacedSession, type Session } from "./session.ts";
import { canShare, startPool } from "./threads/pool.ts";

export { type ErrorCode, type ErrorData, HalftoneError } from "../errors.ts";
export { readPlan } from "../plan/reader.ts";
export type { Golden, Plan, PlanValue, Step } from "../plan/types.ts";
export type { WasmSource } from "./files.ts";
export type { SessionBytes } from "./place.ts";
export type { Session, Visit } from "./session.ts";
export type { ImageLike, InputData, Inputs, InputTensor, Outputs, OutputTensor } from "./tensors.ts";

/** How a session is made. */
export interface SessionOptions {
  /** integer.wasm: where it is, its bytes, or the compiled module (edge runtimes); by default the file beside this package. */
  readonly wasm?: WasmSource | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * Threads that share one sample's work, the caller's among them; default 1. More than one needs memory that can be shared: in pages
   * that is cross-origin isolation. Without it, or with a `wasm` that has its own memory, a session has one thread. Results are the same.
   */
  readonly threads?: number | undefined;
  /** false skips the plan's sha-256; every other check is made all the same. */
  readonly verify?: boolean | undefined;
}

async function planOf(source: Plan | Uint8Array | ArrayBuffer | URL | string, options: SessionOptions): Promise<Plan> {
  if (source instanceof Uint8Array) return readPlan(source, options);
  if (source instanceof ArrayBuffer) return readPlan(new Uint8Array(source), options);
  if (source instanceof URL || typeof source === "string") return readPlan(await readPlanFile(source, options.signal), options);
  checkPlan(source);
  return source;
}

/**
 * Reads and checks a plan, and places it in the linear memory of a fresh instance of integer.wasm.
 *
 * @param source the plan, the bytes of its file, its address, or its path
 * @throws HalftoneError PLAN_MALFORMED, PLAN_VERSION, FILE_UNREADABLE, WASM_UNAVAILABLE, OUT_OF_MEMORY, WORKER_FAILED or CANCELLED
 */
export async function createSession(
  source: Plan | Uint8Array | ArrayBuffer | URL | string,
  options: SessionOptions = {},
): Promise<Session> {
  throwIfAborted(options.signal, "session");
  const threads = threadsOf(options);
  const [plan, module] = await Promise.all([planOf(source, options), loadModule(options.wasm, threads > 1)]);
  const memory = importsMemory(module) ? new WebAssembly.Memory({ initial: 1, maximum: mostPages, shared: true }) : undefined;
  const kernels = await loadKernels(module, memory);
  throwIfAborted(options.signal, "session");
  const shared = memory ? threads : 1;
  const placed = place(plan, kernels, memory ?? kernels.memory, shared);
  const runner = shared > 1 ? await startPool(placed, plan, kernels, module, shared) : inline(placed);
  return new PlacedSession(plan, placed, runner);
}

/** As integer-threads.wasm declares it. */
const mostPages = 32_767;

function threadsOf({ threads = 1 }: SessionOptions): number {
  if (!Number.isInteger(threads) || threads < 1 || threads > 64)
    throw new HalftoneError("OPTION_INVALID", "threads", String(threads), "an integer of 1…64");
  return canShare() ? threads : 1;
}
