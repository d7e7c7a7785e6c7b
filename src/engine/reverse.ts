import { assert, HalftoneError } from "../errors.ts";
import type { DType, Graph, Tensor } from "../graph/types.ts";
import { subgraph } from "../graph/subgraph.ts";
import { forwardKernels } from "../ops/forward.ts";
import { flatOperators, gradientKernels } from "../ops/gradient.ts";
import { operators } from "../ops/registry.ts";
import { place } from "../ops/shape.ts";
import { sizeOf } from "../ops/strided.ts";
import { checkFeeds } from "./feeds.ts";
import { Gradients } from "./gradients.ts";
import { type FloatKernels, instantiateKernels, loadFloat } from "./kernels.ts";
import { hasLayouts, Machine, sameDims, weightsStay } from "./machine.ts";
import { type BackwardStep, planReverse, type ReversePlan } from "./reverse.plan.ts";
import { type Schedule, type Step, schedule } from "./schedule.ts";
import type { DeviceTensor, Differentiable, DifferentiableOptions, Layout, PassOptions } from "./types.ts";
import { Device, Value } from "./values.ts";

/**
 * Forward and reverse mode over a graph, or over the part of it between `inputs` and `outputs`.
 *
 * A step of learning is: write the weights being learned into `variable(name)`, `forward(feeds)`, make the gradients of the outputs
 * from what it returns, `backward(outputGradients, sums)`, and read `sums`. Nothing is allocated for good after the first step of a
 * batch size. Micro-batches are further forward and backward pairs before `sums` is read: gradients add up.
 *
 * - Values named in `parameters` are those whose gradients are wanted: constants (weights), inputs, or activations anywhere.
 * - Constants among them, and those in `variables`, become buffers of the caller: row-major float32 in linear memory that holds the
 *   model's value until overwritten. Nothing that is made of them (packed or transformed weights) outlives a step.
 * - What backward reads is kept from forward to backward and freed on the way back; with `recompute: "segments"` only values at cuts
 *   are kept, and the rest is made again (taps are called again too). Both give the same bits.
 * - Sums run in a fixed order; one call gives the same bits as the next. Everything is synchronous.
 *
 * Gradients at a kink are those of the flat side (0 for Relu at 0); of equal maxima the first takes all.
 *
 * @throws HalftoneError WASM_UNAVAILABLE; OPTION_INVALID for an unknown name or a parameter that is no float32; ONNX_UNSUPPORTED_OP
 *   where a gradient would have to pass an operator that has none
 */
export async function createDifferentiable(graph: Graph, options: DifferentiableOptions): Promise<Differentiable> {
  const module = await loadFloat(options.module);
  const part =
    options.inputs || options.outputs ? subgraph(graph, options.inputs ?? graph.inputs, options.outputs ?? graph.outputs) : graph;
  return new Reverse(part, await instantiateKernels(module), options);
}

interface Shape {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly layout: Layout;
}

class Reverse implements Differentiable {
  readonly graph: Graph;
  readonly #device: Device;
  readonly #schedule: Schedule;
  readonly #machine: Machine;
  readonly #plan: ReversePlan;
  readonly #parameters: ReadonlySet<string>;
  readonly #variables: Map<string, DeviceTensor> = new Map();
  readonly #gradients: Gradients;
  /** Sizes with which a backward step was last accepted. */
  readonly #accepted: Map<BackwardStep, readonly (readonly number[] | undefined)[]> = new Map();
  /** Of every value of the last forward pass, freed or not. */
  #shapes: (Shape | undefined)[] = [];
  #forwardTap: PassOptions = {};
  #ready = false;

  constructor(graph: Graph, kernels: FloatKernels, options: DifferentiableOptions) {
    this.graph = graph;
    this.#device = new Device(kernels);
    this.#gradients = new Gradients(this.#device);
    const known = { operators: options.operators ?? operators, forward: options.forward ?? forwardKernels };
    this.#schedule = schedule(graph, known.operators, known.forward);
    this.#parameters = new Set(options.parameters);
    const learned = [...this.#parameters, ...(options.variables ?? [])];
    for (const name of learned) this.#checkName(name);
    for (const name of learned) if (graph.constants.has(name)) this.#makeVariable(name);
    this.#machine = new Machine(this.#device, graph, this.#schedule, new Set(this.#variables.keys()));
    this.#plan = planReverse(graph, this.#schedule, {
      parameters: this.#parameters,
      gradients: options.gradients ?? gradientKernels,
      flat: flatOperators,
      recompute: options.recompute ?? "none",
    });
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

  variable(name: string): DeviceTensor {
    const variable = this.#variables.get(name);
    assert(variable, `'${name}' is a constant among the parameters or variables`);
    return variable;
  }

  forward(feeds: ReadonlyMap<string, Tensor | DeviceTensor>, options: PassOptions = {}): Map<string, DeviceTensor> {
    checkFeeds(this.graph, feeds);
    this.#reset();
    const { names } = this.#schedule;
    const { values } = this.#start(feeds);
    this.#forwardTap = options;
    try {
      for (const id of values.keys()) this.#record(id);
      for (const name of this.graph.inputs) this.#showValue(this.#schedule.ids.get(name)!);
      this.#run(this.#plan.forward);
    } catch (error) {
      this.#reset();
      throw error;
    }
    this.#ready = true;
    return new Map(
      this.graph.outputs.map((name) => {
        const value = this.#machine.values[this.#schedule.ids.get(name)!];
        assert(value, `value '${names}' was made`);
        return [name, value.device(value.layout)];
      }),
    );
  }

  backward(
    outputGradients: ReadonlyMap<string, Tensor | DeviceTensor>,
    sums: ReadonlyMap<string, DeviceTensor>,
    options: PassOptions = {},
  ): void {
    assert(this.#ready, "backward follows a forward pass of its own");
    this.#ready = false;
    for (const name of sums.keys()) assert(this.#parameters.has(name), `'${name}' is among the parameters`);
    try {
      for (const [name, gradient] of outputGradients) this.#seed(name, gradient);
      this.#finish(this.#plan.given, sums, options);
      for (const segment of this.#plan.segments.toReversed()) {
        this.#run(segment.again);
        for (const step of segment.backward) {
          this.#stepBack(step);
          this.#finish(step.complete, sums, options);
          for (const id of step.dead) this.#machine.free(id);
        }
        for (const id of segment.dead) this.#machine.free(id);
      }
    } finally {
      this.#machine.context.endStep();
      this.#gradients.freeAll();
    }
  }

  #start(feeds: ReadonlyMap<string, Tensor | DeviceTensor>): Machine {
    const { names } = this.#schedule;
    this.#machine.start(names.length, (id) => {
      const name = names[id]!;
      const variable = this.#variables.get(name);
      if (variable) return new Value(this.#device, { device: variable, lent: "variable" });
      const feed = feeds.get(name);
      if (!feed) return undefined;
      return new Value(this.#device, "ptr" in feed ? { device: feed, lent: "activation" } : { host: feed });
    });
    return this.#machine;
  }

  #reset(): void {
    this.#machine.end();
    this.#shapes = [];
    this.#ready = false;
  }

  #run(steps: readonly Step[]): void {
    const machine = this.#machine;
    for (const step of steps) {
      if (step.outputs.some((id) => id >= 0 && !machine.values[id])) {
        for (const id of step.outputs) if (id >= 0) machine.free(id);
        machine.runStep(step);
        for (const id of step.outputs) {
          if (id < 0) continue;
          this.#record(id);
          this.#showValue(id);
        }
      }
      for (const id of step.dead) machine.free(id);
    }
  }

  #record(id: number): void {
    const value = this.#machine.values[id];
    if (value) this.#shapes[id] = { dtype: value.dtype, dims: value.dims, layout: value.layout };
  }

  #showValue(id: number): void {
    const value = this.#machine.values[id];
    const name = this.#schedule.names[id]!;
    const { tap, taps } = this.#forwardTap;
    if (tap && taps?.has(name) && value?.dtype === "float32") tap(name, value.exposed());
  }

  #seed(name: string, gradient: Tensor | DeviceTensor): void {
    const id = this.#schedule.ids.get(name);
    const shape = id === undefined ? undefined : this.#shapes[id];
    assert(shape && this.graph.outputs.includes(name), `'${name}' is an output`);
    assert(sameDims(shape.dims, gradient.dims), `the gradient of '${name}' has its sizes`);
    if ("ptr" in gradient) {
      this.#gradients.put(id!, gradient, true);
      return;
    }
    const device = this.#gradients.allocate(gradient.dims, "row-major");
    this.#device.memory.f32.set(gradient.data as Float32Array, device.ptr / 4);
    this.#gradients.put(id!, device);
  }

  /** Gradients that are whole: shown, added to the caller's sums, and freed unless a step takes them on. */
  #finish(ids: readonly number[], sums: ReadonlyMap<string, DeviceTensor>, { tap, taps }: PassOptions): void {
    for (const id of ids) {
      if (!this.#gradients.has(id)) continue;
      const name = this.#schedule.names[id]!;
      if (tap && taps?.has(name)) tap(name, this.#gradients.own(id)!);
      const sum = this.#parameters.has(name) ? sums.get(name) : undefined;
      if (sum) this.#gradients.addTo(sum, id);
      if (!this.#plan.passedOn.has(id)) this.#gradients.free(id);
    }
  }

  #stepBack(back: BackwardStep): void {
    const { step, kernel, wants } = back;
    const gradients = this.#gradients;
    if (!step.outputs.some((id) => gradients.has(id))) return;
    const first = this.#shapes[step.outputs[0]!]!;
    const layout = kernel.layout === "any" ? first.layout : kernel.layout;
    const dys = step.outputs.map((id) => gradients.in(id, this.#layoutOf(id, layout, first)) ?? this.#zeros(id, layout, first));
    const inputDims = step.inputs.map((id) => (id < 0 ? undefined : this.#shapes[id]?.dims));
    this.#check(back, inputDims);
    const passes = inputDims.map((dims, i) => wants[i] && kernel.passes?.(dims!, first.dims, i));
    const made = step.inputs.map((_, i) => wants[i] && !passes[i]);
    step.inputs.forEach((id, i) => {
      if (passes[i]) gradients.share(id, step.outputs[0]!, inputDims[i]!);
    });
    if (made.includes(true)) {
      const over =
        kernel.inPlace && made[0] && !made.includes(true, 1) && gradients.isOwn(step.outputs[0]!) && sameDims(inputDims[0], first.dims);
      const dxs = step.inputs.map((id, i) => {
        if (!made[i]) return undefined;
        return over ? dys[0]! : gradients.allocate(inputDims[i]!, this.#layoutOf(id, layout, first, weightsStay(kernel.layout, i)));
      });
      const inputs = step.inputs.map((id, i) => this.#operand(id, layout, first, back.readsInput[i]!, weightsStay(kernel.layout, i)));
      const outputs = step.outputs.map((id, i) => this.#operand(id, layout, first, back.readsOutput[i]!)!);
      kernel.backward(this.#machine.context, step.node, inputs, outputs, dys, dxs);
      this.#machine.context.endStep();
      if (over) gradients.takeOver(step.outputs[0]!);
      dxs.forEach((dx, i) => {
        if (dx) gradients.put(step.inputs[i]!, dx);
      });
    }
    for (const id of step.outputs) gradients.free(id);
  }

  /** Weights are row-major as they are forwards; so is what has other axes than the result, or no choice. */
  #layoutOf(id: number, layout: Layout, first: Shape, weightStays = true): Layout {
    const dims = this.#shapes[id]!.dims;
    const stays = weightStays && this.graph.constants.has(this.#schedule.names[id]!);
    return !stays && hasLayouts(dims) && dims.length === first.dims.length ? layout : "row-major";
  }

  #operand(id: number, layout: Layout, first: Shape, read: boolean, weightStays = true): DeviceTensor | undefined {
    const shape = id < 0 ? undefined : this.#shapes[id];
    if (shape?.dtype !== "float32") return undefined;
    const own = this.#layoutOf(id, layout, first, weightStays);
    if (!read) return { dims: shape.dims, layout: own, ptr: 0 };
    const value = this.#machine.values[id];
    assert(value, `value '${this.#schedule.names[id]}' is kept for gradients`);
    return value.device(own);
  }

  #zeros(id: number, layout: Layout, first: Shape): DeviceTensor {
    const { dims } = this.#shapes[id]!;
    const ptr = this.#machine.context.scratch(sizeOf(dims) * 4);
    this.kernels.fill(ptr, 0, sizeOf(dims));
    return { dims, layout: this.#layoutOf(id, layout, first), ptr };
  }

  #check(back: BackwardStep, inputDims: readonly (readonly number[] | undefined)[]): void {
    const { kernel, step } = back;
    const last = this.#accepted.get(back);
    if (last && inputDims.every((dims, i) => sameDims(dims, last[i]))) return;
    const accepts = kernel.accepts ?? step.kernel?.accepts.bind(step.kernel);
    if (!accepts?.(step.node, inputDims, this.#machine.context.constant)) {
      const found = `sizes or attributes for which ${step.node.op} has no gradient`;
      throw new HalftoneError("ONNX_UNSUPPORTED_OP", place(step.node), found, "a form with a gradient in float.wasm");
    }
    this.#accepted.set(back, inputDims);
  }

  #checkName(name: string): void {
    const known = this.#schedule.ids.has(name);
    const dtype = this.graph.facts.get(name)?.dtype ?? "float32";
    if (known && dtype === "float32") return;
    throw new HalftoneError(
      "OPTION_INVALID",
      `parameter '${name}'`,
      known ? dtype : "no value of that name",
      "a float32 value of the graph",
    );
  }

  #makeVariable(name: string): void {
    const { dims, data } = this.graph.constants.get(name)!;
    const ptr = this.#device.memory.keep(sizeOf(dims) * 4);
    this.#device.memory.f32.set(data as Float32Array, ptr / 4);
    this.#variables.set(name, { dims, layout: "row-major", ptr });
  }
}
