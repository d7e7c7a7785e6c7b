import { HalftoneError } from "../errors.ts";
import type { Fact, Graph, GraphNode, Tensor } from "./types.ts";

/**
 * The part of a graph between some of its values: the nodes that the outputs need and the inputs do not already give, in their order,
 * with the constants and facts they use. Names stay. An input may be any value, a constant too; inputs that the outputs do not need
 * are kept as inputs.
 *
 * @param inputs  values to cut above
 * @param outputs values to cut below
 * @throws HalftoneError OPTION_INVALID for a name that is no value of the graph; INPUT_MISSING where the outputs need an input of the
 *   whole graph that is not among `inputs`
 */
export function subgraph(graph: Graph, inputs: readonly string[], outputs: readonly string[]): Graph {
  const given = new Set(inputs);
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.filter(Boolean).map((name): [string, GraphNode] => [name, node])));
  const isValue = (name: string): boolean => producers.has(name) || graph.constants.has(name) || graph.inputs.includes(name);
  for (const name of [...inputs, ...outputs]) {
    if (!isValue(name)) throw new HalftoneError("OPTION_INVALID", `value '${name}'`, "no value of that name", "a value of the graph");
  }
  const needed = new Set<GraphNode>();
  const constants = new Set<string>();
  const open = [...outputs];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (name === "" || given.has(name)) continue;
    const node = producers.get(name);
    if (node) {
      if (!needed.has(node)) open.push(...node.inputs);
      needed.add(node);
    } else if (graph.constants.has(name)) {
      constants.add(name);
    } else {
      throw new HalftoneError(
        "INPUT_MISSING",
        `sub-graph of ${outputs.join(", ")}`,
        `a need for the input '${name}'`,
        "every input it reads",
      );
    }
  }
  const nodes = graph.nodes.filter((node) => needed.has(node));
  const kept = new Set([...inputs, ...constants, ...nodes.flatMap((node) => node.outputs)]);
  const facts = new Map<string, Fact>();
  for (const [name, fact] of graph.facts) {
    // A constant that is fed from now on is no longer known.
    if (kept.has(name)) facts.set(name, given.has(name) ? { dtype: fact.dtype, dims: fact.dims } : fact);
  }
  const keep = <T>(map: ReadonlyMap<string, T>, has: (name: string) => boolean): Map<string, T> =>
    new Map([...map].filter(([name]) => has(name)));
  const names = new Set(nodes.map((node) => node.name));
  return {
    name: graph.name,
    inputs,
    outputs,
    nodes,
    constants: keep<Tensor>(graph.constants, (name) => constants.has(name)),
    facts,
    notes: keep(graph.notes, (name) => names.has(name)),
  };
}
