// Graphs of one operator for tests, and the random inputs that feed them.
import type { Attribute, DType, Fact, Graph, GraphNode, Tensor } from "../../src/graph/types.ts";

/** Small deterministic generator: tests draw the same problems every time. Source: mulberry32, T. Ettinger, public domain. */
export function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export interface Random {
  real(low?: number, high?: number): number;
  /** From low to high, both possible. */
  int(low: number, high: number): number;
  pick<T>(list: readonly T[]): T;
  tensor(dims: readonly number[], low?: number, high?: number): Tensor;
}

export function randomOf(seed: number): Random {
  const next = generator(seed);
  const real = (low = -2, high = 2): number => low + (high - low) * next();
  const int = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  return {
    real,
    int,
    pick: (list) => list[int(0, list.length - 1)]!,
    tensor: (dims, low, high) => ({
      dtype: "float32",
      dims,
      data: Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => real(low, high)),
    }),
  };
}

export interface Operand {
  readonly tensor: Tensor;
  /** Part of the model instead of fed. */
  readonly constant?: boolean;
}

export interface Single {
  readonly op: string;
  readonly inputs: readonly (Operand | undefined)[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly outputs?: number;
}

/**
 * One node, `channelsLast` behind a 1×1 max pool, whose kernel leaves its result channels-last: so every kernel is met by both
 * layouts of its first input.
 */
export function singleGraph(single: Single, channelsLast: boolean): { graph: Graph; feeds: Map<string, Tensor> } {
  const constants = new Map<string, Tensor>();
  const feeds = new Map<string, Tensor>();
  const facts = new Map<string, Fact>();
  const names = single.inputs.map((operand, i) => {
    if (!operand) return "";
    const name = `x${i}`;
    const { tensor, constant } = operand;
    if (constant) constants.set(name, tensor);
    else feeds.set(name, tensor);
    facts.set(name, { dtype: tensor.dtype as DType, dims: tensor.dims, constant: constant ? tensor : undefined });
    return name;
  });
  const nodes: GraphNode[] = [];
  const rank = single.inputs[0]!.tensor.dims.length;
  if (channelsLast) {
    const kernel = new Array<number>(rank - 2).fill(1);
    nodes.push({ name: "turn", op: "MaxPool", inputs: ["x0"], outputs: ["turned"], attributes: { kernel_shape: kernel } });
    names[0] = "turned";
  }
  const outputs = Array.from({ length: single.outputs ?? 1 }, (_, i) => `y${i}`);
  nodes.push({ name: "node", op: single.op, inputs: names, outputs, attributes: single.attributes ?? {} });
  return { graph: { name: "single", inputs: [...feeds.keys()], outputs, nodes, constants, facts, notes: new Map() }, feeds };
}
