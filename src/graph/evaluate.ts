// The graph run by the plain references of its operators: slow, and the oracle of everything fast.

import { assert, HalftoneError } from "../errors.ts";
import { operators } from "../ops/registry.ts";
import { isKnown } from "./dims.ts";
import type { Graph, GraphNode, Tensor } from "./types.ts";

/** What one node makes of concrete inputs, in the order of its outputs. */
export function evaluateNode(node: GraphNode, inputs: readonly (Tensor | undefined)[]): Tensor[] {
  const operator = operators.get(node.op);
  assert(operator, `the operator ${node.op} is in the registry`);
  return operator.reference(node, inputs);
}

/**
 * Outputs of the graph, by name, for one set of inputs.
 *
 * @param feeds a tensor for every input
 * @param also  names of further values to return
 * @throws HalftoneError INPUT_MISSING, INPUT_MISMATCH, and what the operators throw
 */
export function evaluateReference(graph: Graph, feeds: ReadonlyMap<string, Tensor>, also: readonly string[] = []): Map<string, Tensor> {
  const values = new Map(graph.constants);
  for (const input of graph.inputs) values.set(input, checkFeed(graph, input, feeds.get(input)));
  for (const node of graph.nodes) {
    const outputs = evaluateNode(
      node,
      node.inputs.map((input) => (input === "" ? undefined : values.get(input))),
    );
    node.outputs.forEach((output, i) => {
      if (output !== "") values.set(output, outputs[i]!);
    });
  }
  return new Map([...graph.outputs, ...also].map((name) => [name, values.get(name)!]));
}

function checkFeed(graph: Graph, input: string, feed: Tensor | undefined): Tensor {
  const place = `input '${input}'`;
  if (!feed) throw new HalftoneError("INPUT_MISSING", place, "nothing", "a tensor");
  const { dtype, dims } = graph.facts.get(input)!;
  const fits =
    feed.dtype === dtype && (!dims || (dims.length === feed.dims.length && dims.every((dim, i) => !isKnown(dim) || dim === feed.dims[i])));
  if (fits) return feed;
  throw new HalftoneError("INPUT_MISMATCH", place, `${feed.dtype} [${feed.dims.join(", ")}]`, `${dtype} [${dims?.join(", ") ?? "…"}]`);
}
