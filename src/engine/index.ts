import { assert } from "../errors.ts";
import type { Graph, Tensor } from "../graph/types.ts";
import { forwardKernels } from "../ops/forward.ts";
import { operators } from "../ops/registry.ts";
import { checkFeeds } from "./feeds.ts";
import { type FloatKernels, instantiateKernels, loadFloat } from "./kernels.ts";
import { Machine } from "./machine.ts";
import { type Schedule, schedule } from "./schedule.ts";
import type { DeviceTensor, Engine, RunOptions } from "./types.ts";
import { Device, Value } from "./values.ts";

export type { FloatKernels } from "./kernels.ts";
export { loadFloat } from "./kernels.ts";
export { createDifferentiable } from "./reverse.ts";
export type {
  DeviceTensor,
  Differentiable,
  DifferentiableOptions,
  Engine,
  Layout,
  PassOptions,
  RunOptions,
  Tap,
} from "./types.ts";

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

class FloatEngine implements Engine {
  readonly graph: Graph;
  readonly #device: Device;
  readonly #schedule: Schedule;
  readonly #machine: Machine;

  constructor(graph: Graph, kernels: FloatKernels) {
    this.graph = graph;
    this.#device = new Device(kernels);
    this.#schedule = schedule(graph, operators, forwardKernels);
    this.#machine = new Machine(this.#device, graph, this.#schedule);
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
    const machine = this.#machine;
    const show = (id: number): void => {
      const value = machine.values[id];
      const name = names[id];
      if (!value || name === undefined) return;
      if (options.tap && options.taps?.has(name) && value.dtype === "float32") options.tap(name, value.device(value.layout));
      if (wanted.has(name)) results.set(name, value.host());
    };
    try {
      machine.start(names.length, (id) => {
        const feed = feeds.get(names[id]!);
        return feed && new Value(this.#device, { host: feed });
      });
      names.forEach((_, id) => void show(id));
      for (const id of unused) machine.free(id);
      for (const step of steps) {
        if (step.outputs.some((id) => id >= 0 && !machine.values[id])) {
          machine.runStep(step);
          for (const id of step.outputs) show(id);
        }
        for (const id of step.dead) machine.free(id);
      }
    } finally {
      machine.end();
    }
    return inOrder(results, wanted);
  }
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
