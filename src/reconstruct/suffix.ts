// What the network makes of a part's output: the float network behind it, forwards to the answer and backwards to the part.
import { createDifferentiable } from "../engine/reverse.ts";
import type { DeviceTensor, Differentiable } from "../engine/types.ts";
import { subgraph } from "../graph/subgraph.ts";
import type { Graph } from "../graph/types.ts";
import { sizeOf } from "../ops/strided.ts";
import { Buffers } from "./buffers.ts";
import { type CacheData, SampleCache } from "./cache.ts";
import { predictionDifference } from "./objectives.ts";
import type { Part } from "./scopes.ts";

/** Float values by name that pass by the part on their way to the answer. */
type Bypass = ReadonlyMap<string, SampleCache>;

/** Values that the graph's first output needs below the cut at `outputs`, besides them: what passes the part by. */
export function bypassOf(graph: Graph, outputs: readonly string[], available: readonly string[]): string[] {
  const producer = new Map(graph.nodes.flatMap((node) => node.outputs.map((value) => [value, node] as const)));
  const known = new Set(available);
  const cut = new Set(outputs);
  const found = new Set<string>();
  const seen = new Set<string>();
  const open = [graph.outputs[0]!];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (value === "" || seen.has(value) || cut.has(value) || graph.constants.has(value)) continue;
    seen.add(value);
    if (known.has(value)) found.add(value);
    else open.push(...(producer.get(value)?.inputs ?? []));
  }
  return available.filter((value) => found.has(value));
}

/** What a suffix is made of, as plain data. */
export interface SuffixOrder {
  /** The network behind the part alone. */
  readonly graph: Graph;
  /** Of the part. */
  readonly outputs: readonly string[];
  readonly bypass: ReadonlyMap<string, CacheData>;
  readonly answers: CacheData;
  readonly temperature: number;
}

/** @param answers the float network's first output, of every sample */
export function suffixOrder(graph: Graph, part: Part, bypass: Bypass, answers: SampleCache, temperature: number): SuffixOrder {
  return {
    graph: subgraph(graph, [...part.outputs, ...bypass.keys()], [graph.outputs[0]!]),
    outputs: part.outputs,
    bypass: new Map([...bypass].map(([name, { data }]) => [name, data])),
    answers: answers.data,
    temperature,
  };
}

export class Suffix {
  readonly order: SuffixOrder;
  readonly #engine: Differentiable;
  readonly #bypass: Bypass;
  readonly #answers: SampleCache;
  readonly #buffers: Buffers;

  private constructor(order: SuffixOrder, engine: Differentiable) {
    this.order = order;
    this.#engine = engine;
    this.#buffers = new Buffers(engine);
    this.#bypass = new Map([...order.bypass].map(([name, data]) => [name, SampleCache.of(data)]));
    this.#answers = SampleCache.of(order.answers);
  }

  static async open(order: SuffixOrder, module?: WebAssembly.Module): Promise<Suffix> {
    return new Suffix(order, await createDifferentiable(order.graph, { module, parameters: order.outputs }));
  }

  /**
   * The prediction difference of a batch, and its gradient by the part's outputs, times `weight`.
   *
   * @param outputs  of the part, in a memory of their own
   * @param gradients by output: where to write, of the same sizes and layouts in that memory
   */
  run(
    outputs: ReadonlyMap<string, DeviceTensor>,
    gradients: ReadonlyMap<string, DeviceTensor>,
    memory: Float32Array,
    indices: readonly number[],
    weight: number,
  ): number {
    const engine = this.#engine;
    const feeds = new Map<string, DeviceTensor>();
    for (const [name, output] of outputs) {
      const n = sizeOf(output.dims);
      const ptr = this.#buffers.floats(name, n);
      this.#f32.set(memory.subarray(output.ptr / 4, output.ptr / 4 + n), ptr / 4);
      feeds.set(name, { ...output, ptr });
    }
    for (const [name, cache] of this.#bypass) {
      feeds.set(name, cache.gather(indices, this.#buffers.floats(name, cache.size * indices.length), this.#f32));
    }
    const [[name, logits]] = engine.forward(feeds) as unknown as [[string, DeviceTensor]];
    const answers = new Float32Array(sizeOf(logits.dims));
    this.#answers.gather(indices, 0, answers);
    const rows = [logits.dims[0]!, answers.length / logits.dims[0]!];
    const output = this.#f32.slice(logits.ptr / 4, logits.ptr / 4 + answers.length);
    const { loss, gradient } = predictionDifference({ output, target: answers, dims: rows }, this.order.temperature);
    const seed = { dtype: "float32", dims: logits.dims, data: Float32Array.from(gradient, (g) => g * weight) } as const;
    const sums = new Map(
      [...outputs].map(([value, tensor]): [string, DeviceTensor] => {
        const ptr = this.#buffers.floats(`gradient of ${value}`, sizeOf(tensor.dims));
        engine.kernels.fill(ptr, 0, sizeOf(tensor.dims));
        return [value, { ...tensor, ptr }];
      }),
    );
    engine.backward(new Map([[name, seed]]), sums);
    for (const value of this.order.outputs) {
      const from = sums.get(value)!;
      memory.set(this.#f32.subarray(from.ptr / 4, from.ptr / 4 + sizeOf(from.dims)), gradients.get(value)!.ptr / 4);
    }
    return loss * weight;
  }

  get #f32(): Float32Array {
    return new Float32Array(this.#engine.memory.buffer);
  }
}
