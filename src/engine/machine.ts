import { areKnown } from "../graph/dims.ts";
import { elementsOf } from "../graph/tensors.ts";
import type { Fact, Graph, Tensor } from "../graph/types.ts";
import { sizeOf } from "../ops/strided.ts";
import { Context } from "./context.ts";
import type { FloatKernels } from "./kernels.ts";
import type { Schedule, Step } from "./schedule.ts";
import type { DeviceTensor, ForwardKernel, Layout } from "./types.ts";
import { type Device, Value } from "./values.ts";

/** What was decided for a step the last time it ran: valid while its input sizes stay the same. */
interface Decision {
  readonly inputDims: readonly (readonly number[] | undefined)[];
  /** Sizes of the outputs when the kernel runs; undefined when the reference does. */
  readonly outputDims: readonly (readonly number[])[] | undefined;
}

type Kernel = ForwardKernel<FloatKernels>;

/**
 * The values of one graph and the steps that make them. A step runs its float.wasm kernel where there is one for its sizes and types,
 * else the operator's reference on row-major tensors; values change side and layout when a step asks for it, once each.
 */
export class Machine {
  readonly device: Device;
  readonly context: Context;
  /** Values alive in the current run, by number; constants always. */
  values: (Value | undefined)[] = [];
  readonly #constants: Map<number, Value>;
  readonly #decisions: Map<Step, Decision> = new Map();

  /** @param variables constants of the graph that are not constant here: each run brings them along */
  constructor(device: Device, graph: Graph, { ids }: Schedule, variables: ReadonlySet<string> = new Set()) {
    this.device = device;
    this.context = new Context(device, (name) => this.#known(this.values[ids.get(name) ?? -1]));
    const constants = [...graph.constants].filter(([name]) => !variables.has(name));
    this.#constants = new Map(constants.map(([name, tensor]) => [ids.get(name)!, new Value(device, { host: tensor, constant: true })]));
  }

  /** Starts a run with the constants and what `given` has for a number. */
  start(count: number, given: (id: number) => Value | undefined): void {
    this.values = Array.from({ length: count }, (_, id) => given(id) ?? this.#constants.get(id));
  }

  /** Ends a run: only constants keep their memory. */
  end(): void {
    this.context.endStep();
    for (const id of this.values.keys()) this.free(id);
    this.values = [];
  }

  /** Makes the outputs of a step from its inputs. Frees nothing; `step.dead` only tells which input may be written over. */
  runStep(step: Step): void {
    const inputs = step.inputs.map((id) => this.values[id]);
    const fixed = inputs.every((value) => !value || value.isConstant);
    const outputDims = fixed ? undefined : this.#decide(step, inputs);
    if (step.kernel && outputDims) this.#runKernel(step, step.kernel, inputs, outputDims);
    else this.#runReference(step, inputs, fixed);
  }

  #runKernel(step: Step, kernel: Kernel, inputs: readonly (Value | undefined)[], outputDims: readonly (readonly number[])[]): void {
    const layout = layoutFor(kernel.layout, inputs);
    const devices = inputs.map((value, i) => {
      const stays = value?.isWeight && weightsStay(kernel.layout, i);
      return value?.dtype === "float32" ? value.device(stays ? "row-major" : layout) : undefined;
    });
    const [first] = inputs;
    const over = kernel.inPlace && first!.isOwn && step.dead.includes(step.inputs[0]!) && sameDims(first!.dims, outputDims[0]);
    if (over) first!.handOver(devices[0]!.ptr);
    const outputs = outputDims.map((dims, i) => {
      const device = over ? devices[0]! : this.#output(dims, layout);
      this.values[step.outputs[i]!] = new Value(this.device, { device });
      return device;
    });
    kernel.run(this.context, step.node, devices, outputs);
    this.context.endStep();
  }

  /** What depends on constants alone is `fixed`: computed in the first run and a constant from then on. */
  #runReference(step: Step, inputs: readonly (Value | undefined)[], fixed: boolean): void {
    const tensors = inputs.map((value) => value?.host());
    const results = step.operator.reference(step.node, tensors);
    step.outputs.forEach((id, i) => {
      if (id < 0) return;
      const value = new Value(this.device, { host: results[i]!, constant: fixed });
      this.values[id] = value;
      if (fixed) this.#constants.set(id, value);
    });
  }

  #output(dims: readonly number[], layout: Layout): DeviceTensor {
    return { dims, layout: hasLayouts(dims) ? layout : "row-major", ptr: this.device.memory.allocate(sizeOf(dims) * 4) };
  }

  #decide(step: Step, inputs: readonly (Value | undefined)[]): Decision["outputDims"] {
    const { kernel, node } = step;
    if (!kernel || inputs[0]?.dtype !== "float32" || step.outputs.includes(-1)) return undefined;
    const last = this.#decisions.get(step);
    if (last && inputs.every((value, i) => sameDims(value?.dims, last.inputDims[i]))) return last.outputDims;
    const inputDims = inputs.map((value) => value?.dims);
    const outputDims = kernel.accepts(node, inputDims, this.context.constant) ? this.#inferDims(step, inputs) : undefined;
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

  free(id: number): void {
    this.values[id]?.free();
    this.values[id] = undefined;
  }
}

/** A weight stays row-major, but where the kernel wants its first operand in a layout of its own. */
export function weightsStay(wanted: Layout | "any", i: number): boolean {
  return wanted === "any" || i > 0;
}

/** `any` keeps the layout of the first operand with the most elements that is no weight: the others are spread over it. */
function layoutFor(wanted: Layout | "any", inputs: readonly (Value | undefined)[]): Layout {
  if (wanted !== "any") return wanted;
  let largest: Value | undefined;
  for (const value of inputs) {
    if (value?.dtype !== "float32" || value.isWeight) continue;
    if (!largest || value.size > largest.size) largest = value;
  }
  return largest?.layout ?? "row-major";
}

/** Sizes whose elements can stand in more than one order. */
export function hasLayouts(dims: readonly number[]): boolean {
  return dims.length >= 3 && dims.length <= 5;
}

export function sameDims(a: readonly number[] | undefined, b: readonly number[] | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.length === b.length && a.every((dim, i) => dim === b[i]));
}
