import { HalftoneError } from "../errors.ts";
import { storedElements } from "../plan/layout.ts";
import { completions } from "../plan/lifetimes.ts";
import type { PlanPreprocessing, Program } from "../plan/program.ts";
import type { Plan, PlanTensor, PlanValue } from "../plan/types.ts";
import { verifyGolden } from "./golden.ts";
import { InputPort, isTensor, type Samples, samplesOf } from "./input.ts";
import { OutputPort } from "./output.ts";
import type { Placed, Runner, SessionBytes } from "./place.ts";
import type { Inputs, InputTensor, Outputs, OutputTensor } from "./tensors.ts";

/** Called by `trace` with each step's index and what it wrote; of several copies into one value, after the last. */
export type Visit = (step: number, value: OutputTensor) => void;

/** A program placed in linear memory, ready to run. Nothing is allocated there after its creation. */
export interface Session {
  /** The program without its tensors: packed weights lie in linear memory alone. */
  readonly plan: Program;
  readonly bytes: SessionBytes;
  /** Threads that share the work; 1 where memory cannot be shared. */
  readonly threads: number;
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
  /** Stops threads and lets go of the memory; the session cannot run any more. */
  [Symbol.dispose](): void;
}

/** What verify needs of the plan's tensors: the weights lie in linear memory, and a session holds on to no others. */
function goldenTensors(plan: Plan): Map<string, PlanTensor> {
  const names = (plan.golden ?? []).flatMap(({ outputs }) => outputs);
  return new Map(names.map((name) => [name, plan.tensors.get(name)!.slice()]));
}

export class PlacedSession implements Session {
  readonly plan: Program;
  readonly bytes: SessionBytes;
  private readonly inputs: readonly InputPort[];
  private readonly outputs: readonly OutputPort[];
  private readonly golden: ReadonlyMap<string, PlanTensor>;
  private readonly memory: WebAssembly.Memory;
  private readonly arena: number;
  private runner: Runner | undefined;

  constructor(plan: Plan, placed: Placed, runner: Runner) {
    const { tensors: _tensors, provenance: _provenance, ...program } = plan;
    this.plan = program;
    this.golden = goldenTensors(plan);
    this.bytes = placed.bytes;
    this.memory = placed.memory;
    this.arena = placed.arena;
    this.runner = runner;
    this.inputs = plan.inputs.map((i) => new InputPort(plan.values[i]!, plan.preprocessing as PlanPreprocessing | undefined, plan.pixels));
    this.outputs = plan.outputs.map((i) => new OutputPort(plan.values[i]!));
  }

  get threads(): number {
    return this.live().threads;
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
    const runner = this.live();
    for (let index = 0; index < this.plan.steps.length; index++) {
      runner.run(index);
      if (!whole.has(index)) continue;
      const port = new OutputPort(this.plan.values[this.plan.steps[index]!.output]!);
      visit(index, port.tensor(port.take(this.view(port.value)), undefined));
    }
    return this.named(this.take(), samples[0]!.batched ? 1 : undefined);
  }

  profile(inputs: Inputs, rounds: number): number[] {
    const samples = this.oneSample(inputs, "profile");
    const runner = this.live();
    const least = this.plan.steps.map(() => Number.POSITIVE_INFINITY);
    for (let round = 0; round < rounds; round++) {
      this.write(samples, 0);
      for (let i = 0; i < least.length; i++) {
        const started = performance.now();
        runner.run(i);
        least[i] = Math.min(least[i]!, performance.now() - started);
      }
    }
    return least;
  }

  verify(): number {
    this.live();
    return verifyGolden(this.plan, this.golden, (inputs) => this.run(inputs));
  }

  [Symbol.dispose](): void {
    this.runner?.close();
    this.runner = undefined;
  }

  private runSamples(inputs: Inputs, batched: boolean): Outputs {
    const samples = this.samples(inputs);
    const { count } = samples[0]!;
    const dims = batched || samples.some((s) => s.batched) ? count : undefined;
    if (count === 1) {
      this.runOne(samples, 0);
      return this.named(this.take(), dims);
    }
    const codes = this.outputs.map((port) => port.allocate(count));
    for (let i = 0; i < count; i++) {
      this.runOne(samples, i);
      for (const [k, port] of this.outputs.entries()) port.read(this.view(port.value), codes[k]!, i);
    }
    return this.named(codes, dims);
  }

  private runOne(samples: readonly Samples[], index: number): void {
    const runner = this.live();
    this.write(samples, index);
    const steps = this.plan.steps.length;
    for (let step = 0; step < steps; step++) runner.run(step);
  }

  private take(): (Int8Array | Int32Array)[] {
    return this.outputs.map((port) => port.take(this.view(port.value)));
  }

  private live(): Runner {
    if (this.runner === undefined)
      throw new HalftoneError("OPTION_INVALID", "session", "a session that was disposed", "a live one", "Create another.");
    return this.runner;
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
    return new type(this.memory.buffer as ArrayBuffer, this.arena + value.offset, storedElements(value));
  }

  private write(samples: readonly Samples[], index: number): void {
    this.live();
    for (const [i, port] of this.inputs.entries()) port.write(samples[i]!, index, this.view(port.value) as Int8Array);
  }

  private named(codes: readonly (Int8Array | Int32Array)[], count: number | undefined): Outputs {
    return Object.fromEntries(this.outputs.map((port, i) => [port.value.name, port.tensor(codes[i]!, count)]));
  }
}
