// Types and shapes of every value, before anything runs.

import { assert, HalftoneError } from "../errors.ts";
import { operators } from "../ops/registry.ts";
import { elementCount, isKnown, maxElements } from "./dims.ts";
import { placeOf } from "./order.ts";
import { elementsOf } from "./tensors.ts";
import type { Dim, Fact, Graph, GraphNode, Tensor } from "./types.ts";

/** What is known of a constant: everything. */
export function factOfConstant(tensor: Tensor): Fact {
  return { dtype: tensor.dtype, dims: tensor.dims, elements: elementsOf(tensor), constant: tensor };
}

/** The graph with constants added or exchanged for others of their type and shape. */
export function withConstants(graph: Graph, changed: ReadonlyMap<string, Tensor>): Graph {
  const facts = new Map(graph.facts);
  for (const [name, tensor] of changed) facts.set(name, factOfConstant(tensor));
  return { ...graph, constants: new Map([...graph.constants, ...changed]), facts };
}

/**
 * The graph with the facts of all its values inferred anew from those of its inputs and constants.
 * @throws HalftoneError SHAPE_MISMATCH where inputs cannot fit, SHAPE_OVERFLOW where a value would be too large
 */
export function inferFacts(graph: Graph): Graph {
  const facts = new Map<string, Fact>();
  for (const input of graph.inputs) {
    const fact = graph.facts.get(input);
    assert(fact, `the input '${input}' has a fact`);
    facts.set(input, checkSize(fact, `input '${input}'`));
  }
  for (const [name, tensor] of graph.constants) facts.set(name, factOfConstant(tensor));
  for (const node of graph.nodes) {
    const inferred = inferNode(node, facts);
    node.outputs.forEach((output, i) => {
      if (output === "") return;
      const fact = inferred[i];
      if (!fact) {
        throw new HalftoneError("GRAPH_INVALID", placeOf(node), `${node.outputs.length} outputs`, `at most ${inferred.length}`);
      }
      facts.set(output, checkSize(fact, placeOf(node)));
    });
  }
  return { ...graph, facts };
}

/** Facts of one node's outputs, from those of its inputs. */
export function inferNode(node: GraphNode, facts: ReadonlyMap<string, Fact>): Fact[] {
  const operator = operators.get(node.op);
  assert(operator, `the operator ${node.op} is in the registry`);
  return operator.infer(
    node,
    node.inputs.map((input) => (input === "" ? undefined : facts.get(input))),
  );
}

/** Sizes already known must not overflow by themselves: a symbol stands for 1 and more. */
function checkSize(fact: Fact, place: string): Fact {
  const known = fact.dims?.filter(isKnown) ?? [];
  if (known.some((size) => size < 0 || size > maxElements)) {
    throw new HalftoneError("SHAPE_OVERFLOW", place, `sizes [${fact.dims?.join(", ")}]`, "sizes from 0 to 2^31");
  }
  if (fact.dims?.length === known.length) elementCount(known, place);
  return fact;
}

/**
 * The graph for concrete sizes of its inputs, facts inferred anew. Inputs without a row keep their symbols, but for those that other rows settle.
 *
 * @param sizes dims by input name, e.g. { input: [1, 3, 32, 32] }
 * @throws HalftoneError INPUT_MISSING for a name that is no input, INPUT_MISMATCH where sizes contradict the model or each other
 */
export function specialize(graph: Graph, sizes: Readonly<Record<string, readonly number[]>>): Graph {
  const symbols = new Map<Dim, number>();
  for (const [input, dims] of Object.entries(sizes)) {
    if (!graph.inputs.includes(input)) {
      throw new HalftoneError("INPUT_MISSING", `input '${input}'`, "no input of that name", `one of ${graph.inputs.join(", ")}`);
    }
    const declared = graph.facts.get(input)?.dims ?? dims;
    const fits = declared.length === dims.length && declared.every((dim, axis) => settle(dim, dims[axis]!, symbols));
    if (!fits) throw new HalftoneError("INPUT_MISMATCH", `input '${input}'`, `sizes [${dims.join(", ")}]`, `[${declared.join(", ")}]`);
  }
  const facts = new Map(graph.facts);
  for (const input of graph.inputs) {
    const fact = facts.get(input)!;
    const dims = fact.dims?.map((dim) => symbols.get(dim) ?? dim) ?? sizes[input];
    facts.set(input, { ...fact, dims });
  }
  return inferFacts({ ...graph, facts });
}

/** True when `size` may stand where the model says `dim`; remembers it for a symbol. */
function settle(dim: Dim, size: number, symbols: Map<Dim, number>): boolean {
  if (isKnown(dim)) return dim === size;
  const before = symbols.get(dim) ?? size;
  symbols.set(dim, before);
  return before === size;
}
