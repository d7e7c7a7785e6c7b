import { HalftoneError } from "../errors.ts";
import type { Plan } from "../plan/types.ts";
import type { IntegerKernels } from "./kernels.ts";
import { type Call, callsOf, type Placement, type PreparedStep, prepareStep } from "./step.ts";

/** Where a session's linear memory goes, in bytes. */
export interface SessionBytes {
  /** Activations. */
  readonly arena: number;
  /** Packed weights and tables. */
  readonly constants: number;
  /** Of all threads. */
  readonly scratch: number;
  /** All of the linear memory, the module's own and rounding to pages included. */
  readonly total: number;
}

/** A program in linear memory: constants written, calls still to be bound. */
export interface Placed {
  readonly memory: WebAssembly.Memory;
  readonly steps: readonly PreparedStep[];
  /** Byte address of the arena. */
  readonly arena: number;
  readonly bytes: SessionBytes;
  at(step: number, thread: number): Placement;
}

/** Runs the steps of a placed program, one after the other. */
export interface Runner {
  readonly threads: number;
  run(step: number): void;
  close(): void;
}

const pageBytes = 65_536;
/** Addresses stay positive as signed 32-bit integers. */
const mostBytes = 2 ** 31 - pageBytes;
/** Kernels read whole vectors, up to this many bytes behind a region. */
const gap = 32;

const align16 = (bytes: number): number => Math.ceil(bytes / 16) * 16;

function outOfMemory(bytes: number, found: string): HalftoneError {
  return new HalftoneError("OUT_OF_MEMORY", "session", found, `${bytes} bytes of linear memory`, "Use a smaller model or input.");
}

function reach(memory: WebAssembly.Memory, end: number): void {
  if (!(end <= mostBytes)) throw outOfMemory(end, `a limit of ${mostBytes} bytes`);
  const missing = Math.ceil((end - memory.buffer.byteLength) / pageBytes);
  try {
    if (missing > 0) memory.grow(missing);
  } catch (error) {
    throw outOfMemory(end, String(error));
  }
}

function prepare(plan: Plan, index: number, kernels: IntegerKernels): PreparedStep {
  try {
    return prepareStep(plan.steps[index]!, plan, kernels);
  } catch (error) {
    // What engines throw for arrays that cannot be had.
    if (error instanceof RangeError) throw outOfMemory(mostBytes, String(error));
    throw error;
  }
}

/**
 * Constants of each step, then scratch for each thread, then the arena. Packed constants leave JavaScript's memory step by step.
 *
 * @param memory that of the kernels
 */
export function place(plan: Plan, kernels: IntegerKernels, memory: WebAssembly.Memory, threads: number): Placed {
  const base = align16(kernels.heapBase() >>> 0);
  const constants: number[] = [];
  let end = base;
  const steps = plan.steps.map((_, i) => {
    const step = prepare(plan, i, kernels);
    constants.push(end);
    end = align16(end + step.constantBytes);
    reach(memory, end);
    step.store(memory, constants[i]!);
    return step;
  });
  const constantBytes = end - base;
  const scratchBytes = steps.reduce((most, step) => Math.max(most, align16(step.scratchBytes)), 0);
  const scratch = Array.from({ length: threads }, (_, thread) => end + gap + thread * (scratchBytes + gap));
  const arena = scratch.at(-1)! + scratchBytes + gap;
  reach(memory, arena + plan.arenaBytes + gap);
  const at = placements(constants, scratch, arena);
  for (const [i, step] of steps.entries()) step.setUp(at(i, 0));
  const bytes = { arena: plan.arenaBytes, constants: constantBytes, scratch: threads * scratchBytes, total: memory.buffer.byteLength };
  return { memory, steps, arena, bytes, at };
}

/** In a function of its own: a closure made in `place` would keep the plan alive, and with it the bytes of its file. */
function placements(constants: readonly number[], scratch: readonly number[], arena: number): Placed["at"] {
  return (step, thread) => ({ constants: constants[step]!, scratch: scratch[thread]!, arena });
}

/** The caller's own thread. */
export function inline({ steps, at }: Placed): Runner {
  return new Inline(steps.map((step, i) => callsOf(step.parts(at(i, 0)))));
}

class Inline implements Runner {
  readonly threads = 1;
  private steps: readonly (readonly Call[])[];

  constructor(steps: readonly (readonly Call[])[]) {
    this.steps = steps;
  }

  run(index: number): void {
    for (const { run, args } of this.steps[index]!) run(...args);
  }

  close(): void {
    this.steps = [];
  }
}
