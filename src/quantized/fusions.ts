// What one integer epilogue computes: anchor → [residual Add] → [clamp]. A property of the graph, found anew where it is needed.
import type { Fact, Graph, GraphNode } from "../graph/types.ts";
import { findRoots } from "./pointwise.ts";

/** How a residual sum is made: in the producer's wide accumulator, or from 8-bit codes of every branch (as a QDQ file must). */
export type ResidualMode = "wide" | "codes";

/** Nodes that run as one step; only `output` leaves. */
export interface Fusion {
  readonly anchor: GraphNode;
  /** anchor, residual Add and activation, in graph order */
  readonly nodes: readonly GraphNode[];
  readonly output: string;
  /** Name of the constant that a MatMul's following Add brings: its bias. */
  readonly bias?: string | undefined;
  /** The Add that is summed inside the anchor's epilogue: `value` is the branch that comes from elsewhere. */
  readonly residual?: { readonly node: GraphNode; readonly value: string } | undefined;
  /** An activation that is a clamp of the codes, in real units. */
  readonly clamp?: Clamp | undefined;
}

export interface Clamp {
  readonly min: number;
  readonly max: number;
}

/** Operators with int32 accumulators and learned weights. */
export const weightedOps: ReadonlySet<string> = new Set(["Conv", "ConvTranspose", "Gemm", "MatMul"]);
/** Operators whose requantization can take a clamp. */
const clampableOps = new Set([...weightedOps, "Add", "Sub", "Mul", "AveragePool", "GlobalAveragePool", "ReduceMean", "BatchNormalization"]);

const binaryOps = new Set(["Add", "Sub", "Mul"]);

/** Consumers of every value, in graph order; a graph output counts as one more reader (undefined). */
export function readers(graph: Graph): Map<string, (GraphNode | undefined)[]> {
  const found = new Map<string, (GraphNode | undefined)[]>();
  const add = (value: string, node: GraphNode | undefined): void => {
    const list = found.get(value);
    if (list) list.push(node);
    else found.set(value, [node]);
  };
  for (const node of graph.nodes) for (const input of node.inputs) if (input) add(input, node);
  for (const output of graph.outputs) add(output, undefined);
  return found;
}

/** Axis of a weight tensor along which its output channels lie. */
export function outputAxis(node: GraphNode): number {
  if (node.op === "ConvTranspose") return 1;
  if (node.op === "MatMul") return 1;
  return node.op === "Gemm" && !node.attributes.transB ? 1 : 0;
}

/** Whether the node multiplies an activation by constant weights (a MatMul of two activations does not). */
export function isWeighted(graph: Graph, node: GraphNode): boolean {
  return weightedOps.has(node.op) && graph.constants.has(node.inputs[1]!) && !graph.constants.has(node.inputs[0]!);
}

/** The constant that each weighted node adds to its output channels, and the node that reads it: itself, or the Add behind a MatMul. */
export function findBiases(graph: Graph): Map<GraphNode, { readonly constant: string; readonly reader: GraphNode }> {
  const found = new Map<GraphNode, { constant: string; reader: GraphNode }>();
  for (const { anchor, nodes, bias } of findFusions(graph, "wide")) {
    const constant = bias ?? anchor.inputs[2];
    if (!isWeighted(graph, anchor) || !constant || !graph.constants.has(constant)) continue;
    found.set(anchor, { constant, reader: nodes.find(({ inputs }) => inputs.includes(constant))! });
  }
  return found;
}

/** The clamp a node applies, or undefined. Clip's bounds must be constants. */
export function clampOf(graph: Graph, node: GraphNode): Clamp | undefined {
  if (node.op === "Relu") return { min: 0, max: Number.POSITIVE_INFINITY };
  if (node.op !== "Clip") return undefined;
  const bound = (name: string | undefined, absent: number): number | undefined => {
    if (!name) return absent;
    const tensor = graph.constants.get(name);
    return tensor ? Number(tensor.data[0]) : undefined;
  };
  const min = bound(node.inputs[1], Number.NEGATIVE_INFINITY);
  const max = bound(node.inputs[2], Number.POSITIVE_INFINITY);
  return min === undefined || max === undefined ? undefined : { min, max };
}

const sameDims = (a: Fact | undefined, b: Fact | undefined): boolean =>
  a?.dims !== undefined && b?.dims !== undefined && a.dims.length === b.dims.length && a.dims.every((d, i) => d === b.dims![i]);

/** An Add of one constant per output channel right behind a MatMul. */
function biasOf(graph: Graph, matmul: GraphNode, next: GraphNode | undefined): { node: GraphNode; constant: string } | undefined {
  if (next?.op !== "Add") return undefined;
  const constant = next.inputs.find((name) => graph.constants.has(name));
  const outputs = graph.constants.get(matmul.inputs[1]!)!.dims.at(-1)!;
  const tensor = constant === undefined ? undefined : graph.constants.get(constant)!;
  return constant !== undefined && tensor?.data.length === outputs && tensor.dims.at(-1) === outputs ? { node: next, constant } : undefined;
}

/**
 * All fusions, ordered by their last node: that is where a fusion runs, so that a residual branch computed after the anchor is there.
 * With `wide`, an Add of two convolutions belongs to the later one and the earlier leaves as int32.
 *
 * @param ends values that leave as codes whatever reads them: no fusion goes on behind one
 */
export function findFusions(graph: Graph, residualMode: ResidualMode, ends: ReadonlySet<string> = new Set()): Fusion[] {
  const readersOf = readers(graph);
  const only = (value: string): GraphNode | undefined => {
    if (ends.has(value)) return undefined;
    const list = readersOf.get(value) ?? [];
    return list.length === 1 ? list[0] : undefined;
  };
  const position = new Map(graph.nodes.map((node, i) => [node, i]));
  const taken = new Set<GraphNode>();
  const fusions: Fusion[] = [];

  const grow = (anchor: GraphNode): void => {
    const nodes = [anchor];
    let output = anchor.outputs[0]!;
    let residual: Fusion["residual"];
    const bias = anchor.op === "MatMul" && isWeighted(graph, anchor) ? biasOf(graph, anchor, only(output)) : undefined;
    if (bias) {
      nodes.push(bias.node);
      output = bias.node.outputs[0]!;
    }
    const next = only(output);
    if (residualMode === "wide" && isWeighted(graph, anchor) && next?.op === "Add" && !taken.has(next)) {
      const value = next.inputs[next.inputs[0] === output ? 1 : 0]!;
      if (value !== output && !graph.constants.has(value) && sameDims(graph.facts.get(value), graph.facts.get(output))) {
        residual = { node: next, value };
        nodes.push(next);
        output = next.outputs[0]!;
      }
    }
    const last = only(output);
    const clamp = last && clampOf(graph, last);
    if (last && clamp) {
      nodes.push(last);
      output = last.outputs[0]!;
    }
    for (const node of nodes) taken.add(node);
    fusions.push({ anchor, nodes, output, bias: bias?.constant, residual, clamp });
  };

  // Later anchors first: a sum of two convolutions is claimed by the second.
  for (const node of graph.nodes.toReversed()) if (isWeighted(graph, node)) grow(node);
  const roots = findRoots(graph, taken, ends);
  for (const node of graph.nodes) {
    // x · sigmoid(x) is a function of x alone: a table.
    if (binaryOps.has(node.op) && roots.has(node.outputs[0]!)) continue;
    const movable = node.inputs.filter((name) => name && !graph.constants.has(name)).length === (binaryOps.has(node.op) ? 2 : 1);
    if (clampableOps.has(node.op) && !weightedOps.has(node.op) && !taken.has(node) && movable) grow(node);
  }
  return fusions.sort((a, b) => position.get(a.nodes.at(-1)!)! - position.get(b.nodes.at(-1)!)!);
}
