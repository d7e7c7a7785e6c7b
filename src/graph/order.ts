// The order of nodes, and what makes a graph whole: one producer a value, no cycle, nothing missing.

import { HalftoneError } from "../errors.ts";
import type { GraphNode } from "./types.ts";

/** What a person calls a node: "Conv 'layer1.0.conv1'". */
export function placeOf(node: GraphNode): string {
  return `${node.op} '${node.name}'`;
}

/**
 * Nodes in topological order; those that could run at the same time keep the order they came in.
 *
 * @param given   names of the graph's inputs and constants
 * @param outputs names of the graph's outputs
 * @throws HalftoneError GRAPH_INVALID on a value with two producers or none, or on a cycle
 */
export function sortNodes(nodes: readonly GraphNode[], given: Iterable<string>, outputs: readonly string[]): GraphNode[] {
  const producers = new Map<string, GraphNode | undefined>();
  const produce = (value: string, producer: GraphNode | undefined): void => {
    if (producers.has(value)) {
      const first = producers.get(value);
      throw new HalftoneError(
        "GRAPH_INVALID",
        producer ? placeOf(producer) : `value '${value}'`,
        `'${value}', which ${first ? placeOf(first) : "an input or a constant"} makes already`,
        "one producer for every value",
      );
    }
    producers.set(value, producer);
  };
  for (const value of given) produce(value, undefined);
  for (const node of nodes) for (const value of node.outputs) if (value) produce(value, node);
  for (const value of outputs) {
    if (!producers.has(value))
      throw new HalftoneError("GRAPH_INVALID", `output '${value}'`, "no node that makes it", "a producer in the graph");
  }
  return visitAll(nodes, producers);
}

/** Depth-first with a stack of our own: a chain of 100 000 nodes must not overflow the engine's. */
function visitAll(nodes: readonly GraphNode[], producers: ReadonlyMap<string, GraphNode | undefined>): GraphNode[] {
  const sorted: GraphNode[] = [];
  const state = new Map<GraphNode, "open" | "done">();
  for (const root of nodes) {
    const stack = state.has(root) ? [] : [{ node: root, next: 0 }];
    state.set(root, state.get(root) ?? "open");
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const value = top.node.inputs[top.next++];
      if (value === undefined) {
        state.set(top.node, "done");
        sorted.push(top.node);
        stack.pop();
      } else if (value !== "") {
        if (!producers.has(value)) {
          throw new HalftoneError(
            "GRAPH_INVALID",
            placeOf(top.node),
            `the input '${value}', which nothing makes`,
            "an input, a constant or a node's output",
          );
        }
        const producer = producers.get(value);
        if (!producer || state.get(producer) === "done") continue;
        if (state.get(producer) === "open") {
          throw new HalftoneError("GRAPH_INVALID", placeOf(producer), `a cycle through '${value}'`, "a graph without cycles");
        }
        state.set(producer, "open");
        stack.push({ node: producer, next: 0 });
      }
    }
  }
  return sorted;
}
