// From a time to a number of steps, by the sizes of the graph alone: no clock enters a result. The clock may only warn.
import type { Graph, GraphNode } from "../../graph/types.ts";
import { isWeighted, outputAxis } from "../../quantized/fusions.ts";

/** What one sample costs the float network: multiply-adds, and elements written. */
export interface Work {
  readonly products: number;
  readonly elements: number;
}

/** An open size counts as 1: a sequence of unknown length is planned as if it were short, and the warning tells. */
function elementsOf(graph: Graph, value: string): number {
  const dims = graph.facts.get(value)?.dims ?? [];
  return dims.slice(1).reduce<number>((product, dim) => product * (typeof dim === "number" ? dim : 1), 1);
}

export function workOf(graph: Graph): Work {
  let [products, elements] = [0, 0];
  for (const node of graph.nodes) {
    for (const output of node.outputs) if (output) elements += elementsOf(graph, output);
    if (isWeighted(graph, node)) products += elementsOf(graph, node.outputs[0]!) * columnsOf(graph, node);
  }
  return { products, elements };
}

/** Products that make one output. */
function columnsOf(graph: Graph, node: GraphNode): number {
  const { dims } = graph.constants.get(node.inputs[1]!)!;
  return dims.reduce((product, dim) => product * dim, 1) / dims[outputAxis(node)]!;
}

/**
 * Nanoseconds of one thread on the machine of test/bench/RESULTS.md, fitted to five networks: a product and an element of one sample in a
 * step (the float network forwards, the quantized one forwards and backwards), and a product in a pass that gathers Gram matrices.
 */
const costs = { product: 0.075, element: 7, gathered: 0.07 } as const;
/** A stated time is that of so many threads. */
const threads = 2;
/** Share of the time in which codes are found from Gram matrices, and the fewest samples that are worth it. */
const gramShare = 0.1;
const fewestSamples = 256;

/** How a time is spent. */
export interface Plan {
  /** Samples of the Gram matrices. */
  readonly samples: number;
  /** Steps of learning the network as a whole. */
  readonly iterations: number;
}

/** @param passes over the data that the Gram matrices take */
export function planOf(seconds: number, { products, elements }: Work, available: number, batch: number, passes: number): Plan {
  const time = seconds * threads * 1e9;
  const gathering = products * passes * costs.gathered;
  const samples = Math.min(available, Math.max(fewestSamples, Math.floor((time * gramShare) / gathering)));
  const step = batch * (products * costs.product + elements * costs.element);
  return { samples, iterations: Math.max(1, Math.floor((time - samples * gathering) / step)) };
}
