import { HalftoneError } from "../errors.ts";
import { storedElements } from "../plan/layout.ts";
import { completions } from "../plan/lifetimes.ts";
import type { PlanPreprocessing } from "../plan/program.ts";
import type { Plan, PlanValue } from "../plan/types.ts";
import { verifyGolden } from "./golden.ts";
import { InputPort, isTensor, type Samples, samplesOf } from "./input.ts";
import type { IntegerKernels } from "./kernels.ts";
import { OutputPort } from "./output.ts";
import { type Call, type PreparedStep, prepareStep } from "./step.ts";
import type { Inputs, InputTensor, Outputs, OutputTensor } from "./tensors.ts";

/** Where a session's linear memory goes, in bytes. */
export interface SessionBytes {
  /** Activations. */
  readonly arena: number;
  /** Packed weights and tables. */
  readonly constants: number;
  readonly scratch: number;
  /** All of the linear memory, the module's own and rounding to pages included. */
  readonly total: number;
}

/** Called by `trace` with each step's index and what it wrote; of several copies into one value, after the last. */
export type Visit = (step: number, value: OutputTensor) => void;

/** A program placed in linear memory, ready to run. Nothing is allocated there after its creation. */
export interface Session {
  readonly plan: Plan;
  readonly bytes: SessionBytes;
  /**
   * Runs one sample, or as many as a leading batch axis has.
   *
   * @throws HalftoneError INPUT_MISSING, INPUT_MISMATCH or NOT_FINITE naming the input
   */
  run(inputs: Inputs): Outputs;
  /** The same; the outputs have a batch axis even for one sample. */
  runBatch(inputs: Inputs): Outputs;
  /** Runs one sample and shows what every step writes, in the model's axes: for comparing programs layer by layer. */
  trace(inputs: Inputs, visit: Visit): Outputs;
  /**
   * Proves the machine at hand: runs the plan's golden inputs, which takes as long as so many samples.
   *
   * @returns how many inputs were run; 0 where the plan, of an older version, has none
   * @throws HalftoneError VERIFICATION_FAILED when any integer differs
   */
  verify(): number;
  /** Runs one sample `rounds` times: least milliseconds of each step, in the plan's order. */
  profile(inputs: Inputs, rounds: number): number[];
  [Symbol.dispose](): void;
}

const pageBytes = 65_536;
/** Addresses stay positive as signed 32-bit integers. */
const mostBytes = 2 ** 31 - pageBytes;
/** Kernels read whole vectors, up to this many bytes behind a region. */
const gap = 32;

function align16(bytes: number): number {
  return Math.ceil(bytes / 16) * 16;
}

function outOfMemory(bytes: number, found: string): HalftoneError {
  return new HalftoneError("OUT_OF_MEMORY", "session", found, `${bytes} bytes of linear memory`, "Use a smaller model or input.");
}

function prepare(plan: Plan, kernels: IntegerKernels): PreparedStep[] {
  try {
    return plan.steps.map((step) => prepareStep(step, plan, kernels));
  } catch (error) {
    // What engines throw for arrays that cannot be had.
    if (error instanceof RangeError) throw outOfMemory(mostBytes, String(error));
    throw error;
  }
}

/** Constants of each step, then scratch, then the arena: placed once. */
function place(
  steps: readonly PreparedStep[],
  plan: Plan,
  kernels: IntegerKernels,
): { calls: Call[][]; arena: number; bytes: SessionBytes } {
  const base = align16(kernels.heapBase() >>> 0);
  const at: number[] = [];
  let end = base;
  for (const step of steps) {
    at.push(end);
    end = align16(end + step.constantBytes);
  }
  const constants = end - base;
  const scratchBytes = steps.reduce((most, step) => Math.max(most, step.scratchBytes), 0);
  const scratch = end + gap;
  const arena = align16(scratch + scratchBytes) + gap;
  end = arena + plan.arenaBytes + gap;
  if (!(end <= mostBytes)) throw outOfMemory(end, `a limit of ${mostBytes} bytes`);
  const missing = Math.ceil((end - kernels.memory.buffer.byteLength) / pageBytes);
  try {
    if (missing > 0) kernels.memory.grow(missing);
  } catch (error) {
    throw outOfMemory(end, String(error));
  }
  const calls = steps.map((step, i) => step.bind(kernels.memory, { constants: at[i]!, scratch, arena }));
  return { calls, arena, bytes: { arena: plan.arenaBytes, constants, scratch: scratchBytes, total: kernels.memory.buffer.byteLength } };
}

/** Places the steps of a checked plan in the memory of a fresh instance. */
export class WasmSession implements Session {
  readonly plan: Plan;
  readonly bytes: SessionBytes;
  private readonly inputs: readonly InputPort[];
  private readonly outputs: readonly OutputPort[];
  /** Calls of each step. */
  private calls: readonly (readonly Call[])[] | undefined;
  private memory: ArrayBufferLike | undefined;
  private readonly arena: number;

  constructor(plan: Plan, kernels: IntegerKernels) {
    this.plan = plan;
    const placed = place(prepare(plan, kernels), plan, kernels);
    this.bytes = placed.bytes;
    this.calls = placed.calls;
    this.arena = placed.arena;
    this.memory = kernels.memory.buffer;
    this.inputs = plan.inputs.map((i) => new InputPort(plan.values[i]!, plan.preprocessing as PlanPreprocessing | undefined));
    this.outputs = plan.outputs.map((i) => new OutputPort(plan.values[i]!));
  }

  run(inputs: Inputs): Outputs {
    return this.runSamples(inputs, false);
  }

  runBatch(inputs: Inputs): Outputs {
    return this.runSamples(inputs, true);
  }

  trace(inputs: Inputs, visit: Visit): Outputs {
    const samples = this.oneSample(inputs, "trace");
    this.write(samples, 0);
    const whole = completions(this.plan);
    for (const [index, calls] of this.live().entries()) {
      for (const { run, args } of calls) run(...args);
      if (!whole.has(index)) continue;
      const port = new OutputPort(this.plan.values[this.plan.steps[index]!.output]!);
      const codes = port.allocate(1);
      port.read(this.view(port.value), codes, 0);
      visit(index, port.tensor(codes, undefined));
    }
    const all = this.outputs.map((port) => port.allocate(1));
    this.read(all, 0);
    return this.named(all, samples[0]!.batched ? 1 : undefined);
  }

  profile(inputs: Inputs, rounds: number): number[] {
    const samples = this.oneSample(inputs, "profile");
    const steps = this.live();
    const least = steps.map(() => Number.POSITIVE_INFINITY);
    for (let round = 0; round < rounds; round++) {
      this.write(samples, 0);
      for (const [i, calls] of steps.entries()) {
        const started = performance.now();
        for (const { run, args } of calls) run(...args);
        least[i] = Math.min(least[i]!, performance.now() - started);
      }
    }
    return least;
  }

  verify(): number {
    this.live();
    return verifyGolden(this.plan, (inputs) => this.run(inputs));
  }

  [Symbol.dispose](): void {
    this.calls = undefined;
    this.memory = undefined;
  }

  private runSamples(inputs: Inputs, batched: boolean): Outputs {
    const samples = this.samples(inputs);
    const { count } = samples[0]!;
    const codes = this.outputs.map((port) => port.allocate(count));
    const steps = this.live();
    for (let i = 0; i < count; i++) {
      this.write(samples, i);
      for (const calls of steps) for (const { run, args } of calls) run(...args);
      this.read(codes, i);
    }
    return this.named(codes, batched || samples.some((s) => s.batched) ? count : undefined);
  }

  private live(): readonly (readonly Call[])[] {
    if (this.calls === undefined)
      throw new HalftoneError("OPTION_INVALID", "session", "a session that was disposed", "a live one", "Create another.");
    return this.calls;
  }

  private oneSample(inputs: Inputs, what: string): Samples[] {
    const samples = this.samples(inputs);
    const { count } = samples[0]!;
    if (count !== 1) throw new HalftoneError("INPUT_MISMATCH", what, `${count} samples`, "1", "Pass them one at a time.");
    return samples;
  }

  /** The samples of every input, as many of each. */
  private samples(inputs: Inputs): Samples[] {
    const names = this.inputs.map(({ value }) => value.name);
    const given: Readonly<Record<string, InputTensor>> = isTensor(inputs)
      ? Object.fromEntries([[names.length === 1 ? names[0]! : "", inputs]])
      : inputs;
    const unknown = Object.keys(given).find((name) => !names.includes(name));
    if (unknown !== undefined)
      throw new HalftoneError(
        "INPUT_MISMATCH",
        "inputs",
        unknown === "" ? "one array" : `'${unknown}'`,
        names.map((n) => `'${n}'`).join(", "),
        unknown === "" ? "Pass an object with an array for each name." : "",
      );
    const samples = this.inputs.map(({ value }) => {
      const input = Object.hasOwn(given, value.name) ? given[value.name] : undefined;
      if (input === undefined)
        throw new HalftoneError("INPUT_MISSING", `input '${value.name}'`, "nothing", `an array of [${value.dims.join(",")}]`);
      if (!isTensor(input))
        throw new HalftoneError(
          "INPUT_MISMATCH",
          `input '${value.name}'`,
          typeof input,
          "a Float32Array, Int8Array, Uint8Array, { dims, data } or an image",
        );
      return samplesOf(input, value);
    });
    const { count } = samples[0]!;
    for (const [i, sample] of samples.entries()) {
      if (sample.count !== count)
        throw new HalftoneError(
          "INPUT_MISMATCH",
          `input '${names[i]}'`,
          `${sample.count} samples`,
          `${count}, as many as '${names[0]}' has`,
        );
    }
    return samples;
  }

  private view(value: PlanValue): Int8Array | Int32Array {
    const type = value.type === "int8" ? Int8Array : Int32Array;
    return new type(this.memory as ArrayBuffer, this.arena + value.offset, storedElements(value));
  }

  private write(samples: readonly Samples[], index: number): void {
    this.live();
    for (const [i, port] of this.inputs.entries()) port.write(samples[i]!, index, this.view(port.value) as Int8Array);
  }

  private read(codes: readonly (Int8Array | Int32Array)[], index: number): void {
    for (const [i, port] of this.outputs.entries()) port.read(this.view(port.value), codes[i]!, index);
  }

  private named(codes: readonly (Int8Array | Int32Array)[], count: number | undefined): Outputs {
    return Object.fromEntries(this.outputs.map((port, i) => [port.value.name, port.tensor(codes[i]!, count)]));
  }
}
