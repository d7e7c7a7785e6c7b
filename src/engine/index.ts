import { assert } from "../errors.ts";
import { areKnown } from "../graph/dims.ts";
import { elementsOf } from "../graph/tensors.ts";
import type { Fact, Graph, Tensor } from "../graph/types.ts";
import { forwardKernels } from "../ops/forward.ts";
import { operators } from "../ops/registry.ts";
import { sizeOf } from "../ops/strided.ts";
import { Context } from "./context.ts";
import { checkFeeds } from "./feeds.ts";
import { type FloatKernels, instantiateKernels, loadFloat } from "./kernels.ts";
import { type Schedule, type Step, schedule } from "./schedule.ts";
import type { DeviceTensor, Engine, ForwardKernel, Layout, RunOptions } from "./types.ts";
import { Device, Value } from "./values.ts";

export type { FloatKernels } from "./kernels.ts";
export { loadFloat } from "./kernels.ts";
export type { DeviceTensor, Engine, Layout, RunOptions, Tap } from "./types.ts";

export interface EngineOptions {
  /** A compiled float.wasm; by default it is read from where the package lies. */
  readonly module?: WebAssembly.Module | undefined;
}

/**
 * An engine for one graph, with linear memory of its own. A step runs its float.wasm kernel where there is one for its sizes and
 * types, else the operator's reference on row-major tensors; values change side and layout when a step asks for it, once each.
 * @throws HalftoneError WASM_UNAVAILABLE
 */
export async function createEngine(graph: Graph, options: EngineOptions = {}): Promise<Engine> {
  const module = await loadFloat(options.module);
  return new FloatEngine(graph, await instantiateKernels(module));
}

/** What was decided for a step the last time it ran: valid while its input sizes stay the same. */
interface Decision {
  readonly inputDims: readonly (readonly number[] | undefined)[];
  /** Sizes of the outputs when the kernel runs; undefined when the reference does. */
  readonly outputDims: readonly (readonly number[])[] | undefined;
}

type Kernel = ForwardKernel<FloatKernels>;

class FloatEngine implements Engine {
  readonly graph: Graph;
  readonly #device: Device;
  readonly #schedule: Schedule;
  readonly #context: Context;
  readonly #constants: Map<number, Value>;
  readonly #decisions: Map<Step, Decision> = new Map();
  /** Values alive in the current run, by number; constants always. */
  #values: (Value | undefined)[] = [];

  constructor(graph: Graph, kernels: FloatKernels) {
    this.graph = graph;
    this.#device = new Device(kernels);
    this.#schedule = schedule(graph, operators, forwardKernels);
    this.#context = new Context(this.#device, (name) => this.#known(this.#values[this.#schedule.ids.get(name) ?? -1]));
    const { ids } = this.#schedule;
    this.#constants = new Map(
      [...graph.constants].map(([name, tensor]) => [ids.get(name)!, new Value(this.#device, { host: tensor, constant: true })]),
    );
  }

  get kernels(): FloatKernels {
    return this.#device.kernels;
  }

  get memory(): WebAssembly.Memory {
    return this.#device.memory.memory;
  }

  get peakBytes(): number {
    return this.#device.memory.peakBytes;
  }

  allocate(bytes: number): number {
    return this.#device.memory.allocate(bytes);
  }

  release(ptr: number): void {
    this.#device.memory.free(ptr);
  }

  read(value: DeviceTensor): Tensor {
    return this.#device.read(value);
  }

  run(feeds: ReadonlyMap<string, Tensor>, options: RunOptions = {}): Map<string, Tensor> {
    checkFeeds(this.graph, feeds);
    const { steps, names, unused } = this.#schedule;
    const wanted = new Set([...this.graph.outputs, ...(options.also ?? [])]);
    const results = new Map<string, Tensor>();
    const show = (id: number): void => {
      const value = this.#values[id];
      const name = names[id];
      if (!value || name === undefined) return;
      if (options.tap && options.taps?.has(name) && value.dtype === "float32") options.tap(name, value.device(value.layout));
      if (wanted.has(name)) results.set(name, value.host());
    };
    try {
      this.#values = names.map((name, id) => {
        const feed = feeds.get(name);
        return feed ? new Value(this.#device, { host: feed }) : this.#constants.get(id);
      });
      names.forEach((_, id) => void show(id));
      for (const id of unused) this.#free(id);
      for (const step of steps) {
        if (step.outputs.some((id) => id >= 0 && !this.#values[id])) {
          this.#runStep(step);
          for (const id of step.outputs) show(id);
        }
        for (const id of step.dead) this.#free(id);
      }
    } finally {
      this.#context.endStep();
      for (const id of this.#values.keys()) this.#free(id);
      this.#values = [];
    }
    return inOrder(results, wanted);
  }

  #runStep(step: Step): void {
    const inputs = step.inputs.map((id) => this.#values[id]);
    const fixed = inputs.every((value) => !value || value.isConstant);
    const outputDims = fixed ? undefined : this.#decide(step, inputs);
    if (step.kernel && outputDims) this.#runKernel(step, step.kernel, inputs, outputDims);
    else this.#runReference(step, inputs, fixed);
  }

  #runKernel(step: Step, kernel: Kernel, inputs: readonly (Value | undefined)[], outputDims: readonly (readonly number[])[]): void {
    const layout = layoutFor(kernel.layout, inputs);
    const devices = inputs.map((value) => (value?.dtype === "float32" ? value.device(value.isConstant ? "row-major" : layout) : undefined));
    const [first] = inputs;
    const over = kernel.inPlace && !first!.isConstant && step.dead.includes(step.inputs[0]!) && sameDims(first!.dims, outputDims[0]);
    if (over) first!.handOver(devices[0]!.ptr);
    const outputs = outputDims.map((dims, i) => {
      const device = over ? devices[0]! : this.#output(dims, layout);
      this.#values[step.outputs[i]!] = new Value(this.#device, { device });
      return device;
    });
    kernel.run(this.#context, step.node, devices, outputs);
    this.#context.endStep();
  }

  /** What depends on constants alone is `fixed`: computed in the first run and a constant from then on. */
  #runReference(step: Step, inputs: readonly (Value | undefined)[], fixed: boolean): void {
    const tensors = inputs.map((value) => value?.host());
    const results = step.operator.reference(step.node, tensors);
    step.outputs.forEach((id, i) => {
      if (id < 0) return;
      const value = new Value(this.#device, { host: results[i]!, constant: fixed });
      this.#values[id] = value;
      if (fixed) this.#constants.set(id, value);
    });
  }

  #output(dims: readonly number[], layout: Layout): DeviceTensor {
    return { dims, layout: hasLayouts(dims) ? layout : "row-major", ptr: this.#device.memory.allocate(sizeOf(dims) * 4) };
  }

  #decide(step: Step, inputs: readonly (Value | undefined)[]): Decision["outputDims"] {
    const { kernel, node } = step;
    if (!kernel || inputs[0]?.dtype !== "float32" || step.outputs.includes(-1)) return undefined;
    const last = this.#decisions.get(step);
    if (last && inputs.every((value, i) => sameDims(value?.dims, last.inputDims[i]))) return last.outputDims;
    const inputDims = inputs.map((value) => value?.dims);
    const outputDims = kernel.accepts(node, inputDims, this.#context.constant) ? this.#inferDims(step, inputs) : undefined;
    // An integer made in the run (a Reshape target) may differ next time although its sizes do not.
    const repeats = inputs.every((value) => !value || value.isConstant || value.dtype === "float32");
    if (repeats) this.#decisions.set(step, { inputDims, outputDims });
    return outputDims;
  }

  #inferDims(step: Step, inputs: readonly (Value | undefined)[]): Decision["outputDims"] {
    const facts = step.operator.infer(
      step.node,
      inputs.map((value) => value && this.#factOf(value)),
    );
    const dims = facts
      .slice(0, step.outputs.length)
      .map((fact) => (fact.dtype === "float32" && areKnown(fact.dims) ? fact.dims : undefined));
    return dims.length === step.outputs.length && dims.every((d) => d !== undefined) ? dims : undefined;
  }

  #factOf(value: Value): Fact {
    const constant = this.#known(value);
    return { dtype: value.dtype, dims: value.dims, constant, elements: constant && elementsOf(constant) };
  }

  /** Contents that a decision may depend on: constants, and whatever is not float32 (sizes, axes, indices). */
  #known(value: Value | undefined): Tensor | undefined {
    return value && (value.isConstant || value.dtype !== "float32") ? value.known : undefined;
  }

  #free(id: number): void {
    this.#values[id]?.free();
    this.#values[id] = undefined;
  }
}

/** `any` keeps the layout of the first operand with the most elements that is no constant: the others are spread over it. */
function layoutFor(wanted: Layout | "any", inputs: readonly (Value | undefined)[]): Layout {
  if (wanted !== "any") return wanted;
  let largest: Value | undefined;
  for (const value of inputs) {
    if (value?.dtype !== "float32" || value.isConstant) continue;
    if (!largest || value.size > largest.size) largest = value;
  }
  return largest?.layout ?? "row-major";
}

function hasLayouts(dims: readonly number[]): boolean {
  return dims.length >= 3 && dims.length <= 5;
}

function sameDims(a: readonly number[] | undefined, b: readonly number[] | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.length === b.length && a.every((dim, i) => dim === b[i]));
}

function inOrder(results: ReadonlyMap<string, Tensor>, names: ReadonlySet<string>): Map<string, Tensor> {
  return new Map(
    [...names].map((name) => {
      const tensor = results.get(name);
      assert(tensor, `value '${name}' was made`);
      return [name, tensor];
    }),
  );
}
