// Sets of values whose channels can be measured in units of their own: what is linear, or homogeneous, keeps a channel's factor.
import type { Graph, GraphNode } from "./types.ts";

/** Values [N, C, …] that keep the factors of their channels in common. */
export interface ChannelGroup {
  /** In execution order. */
  readonly values: readonly string[];
  /** Layers whose output channels these are, [C, …] weights. */
  readonly producers: readonly GraphNode[];
  /** Layers whose input channels these are: [O, C, …] weights, or depthwise ones, [C, 1, …]. */
  readonly consumers: readonly GraphNode[];
  readonly channels: number;
}

/** f(s · x) = s · f(x) for s > 0, channel by channel. */
const homogeneous: ReadonlySet<string> = new Set("Relu LeakyRelu MaxPool AveragePool GlobalAveragePool GlobalMaxPool".split(" "));

/** A convolution with one filter for each channel. */
export function isDepthwise(graph: Graph, node: GraphNode): boolean {
  const dims = graph.constants.get(node.inputs[1]!)?.dims;
  return node.op === "Conv" && dims?.[1] === 1 && dims[0] === (node.attributes.group ?? 1);
}

/** Weights [O, I, …] with constant biases [O], if any: those that take a factor for each output and each input. */
function isLayer(graph: Graph, node: GraphNode): boolean {
  const [, weight = "", bias = ""] = node.inputs;
  if (graph.constants.get(weight)?.dtype !== "float32" || (bias && graph.constants.get(bias)?.dims.length !== 1)) return false;
  const { group = 1, transA, transB } = node.attributes;
  return (node.op === "Conv" && (group === 1 || isDepthwise(graph, node))) || (node.op === "Gemm" && !transA && transB === 1);
}

/** Clip at 0 and at some positive bound. */
function isBounded(graph: Graph, node: GraphNode): boolean {
  const bound = (i: number, absent: number): number => {
    const name = node.inputs[i];
    return name ? Number(graph.constants.get(name)?.data[0] ?? Number.NaN) : absent;
  };
  return node.op === "Clip" && bound(1, Number.NEGATIVE_INFINITY) === 0 && bound(2, Number.POSITIVE_INFINITY) > 0;
}

/**
 * All groups that have both producers and consumers and touch nothing else: not the graph's inputs and outputs, no operator that mixes
 * channels without weights or is no multiple of its input. A Clip's upper bound counts as one of them all: the factors must keep to it.
 */
export function channelGroups(graph: Graph): ChannelGroup[] {
  const parent = new Map<string, string>();
  const find = (value: string): string => {
    const up = parent.get(value);
    return up === undefined ? value : find(up);
  };
  const unite = (a: string, b: string): void => {
    const [first, second] = [find(a), find(b)];
    if (first !== second) parent.set(second, first);
  };
  const fixed = new Set([...graph.inputs, ...graph.outputs]);
  const makerOf = new Map<string, GraphNode>();
  const takersOf = new Map<string, GraphNode[]>();
  const dimsOf = (value: string): readonly unknown[] => graph.facts.get(value)?.dims ?? [];

  for (const node of graph.nodes) {
    const [x = "", second = ""] = node.inputs;
    const [y = ""] = node.outputs;
    const flattens = node.op === "Reshape" && dimsOf(y).length === 2 && dimsOf(x)[1] === dimsOf(y)[1];
    const sums = node.op === "Add" && [x, second].every((value) => !graph.constants.has(value) && `${dimsOf(value)}` === `${dimsOf(y)}`);
    if (homogeneous.has(node.op) || isBounded(graph, node) || flattens) unite(x, y);
    else if (sums) for (const value of [x, second]) unite(value, y);
    else if (isLayer(graph, node)) {
      makerOf.set(y, node);
      takersOf.set(x, [...(takersOf.get(x) ?? []), node]);
    } else for (const value of [...node.inputs, ...node.outputs]) fixed.add(value);
  }

  const members = new Map<string, string[]>();
  for (const value of graph.nodes.flatMap((node) => node.outputs)) members.set(find(value), [...(members.get(find(value)) ?? []), value]);
  return [...members.values()].flatMap((values) => {
    const producers = values.flatMap((value) => makerOf.get(value) ?? []);
    const consumers = values.flatMap((value) => takersOf.get(value) ?? []);
    const channels = dimsOf(values[0]!)[1];
    const free = values.every((value) => !fixed.has(value)) && typeof channels === "number";
    return free && producers.length > 0 && consumers.length > 0 ? [{ values, producers, consumers, channels }] : [];
  });
}
