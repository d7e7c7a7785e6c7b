// What is learned at once: a list of parts of the graph in order of execution, together all of it.
import type { Graph, GraphNode } from "../graph/types.ts";
import { isWeighted, readers } from "../quantized/fusions.ts";
import { findUnits, type Unit, unitNodes } from "../quantized/units.ts";
import type { ScopeName } from "./methods.ts";

/** A part of the graph. Values are named in the order of the graph. */
export interface Part {
  readonly name: string;
  readonly nodes: readonly GraphNode[];
  /** Values from outside, constants left out. */
  readonly inputs: readonly string[];
  /** Values that others read, or outputs of the graph. */
  readonly outputs: readonly string[];
}

/** Nodes in groups that become parts, in order. */
type Grouping = (graph: Graph, units: readonly Unit[]) => readonly (readonly GraphNode[])[];

const hasWeights = (graph: Graph, nodes: readonly GraphNode[]): boolean => nodes.some((node) => isWeighted(graph, node));

/**
 * Nothing without weights is a part of its own: a function of one value belongs to what made the value, anything else (pools, reshapes)
 * to what reads it next.
 */
function withWeights(graph: Graph, groups: readonly { readonly nodes: GraphNode[]; readonly follows: boolean }[]): GraphNode[][] {
  const parts: GraphNode[][] = [];
  let waiting: GraphNode[] = [];
  for (const { nodes, follows } of groups) {
    if (hasWeights(graph, nodes)) {
      parts.push([...waiting, ...nodes]);
      waiting = [];
    } else if (follows && waiting.length === 0 && parts.length > 0) parts.at(-1)!.push(...nodes);
    else waiting.push(...nodes);
  }
  if (waiting.length > 0) {
    if (parts.length > 0) parts.at(-1)!.push(...waiting);
    else parts.push(waiting);
  }
  return parts;
}

const layers: Grouping = (graph, units) =>
  withWeights(
    graph,
    units.map((unit) => ({ nodes: [...unitNodes(unit)], follows: unit.kind === "pointwise" })),
  );

const outputsOf = (graph: Graph, node: GraphNode): number => graph.constants.get(node.inputs[1]!)!.dims[0]!;

/** The one convolution of a part, with its kind; undefined where there are more, or other operators with weights. */
function onlyConvolution(graph: Graph, nodes: readonly GraphNode[]): { node: GraphNode; kind: "depthwise" | "pointwise" } | undefined {
  const [node, ...others] = nodes.filter((each) => isWeighted(graph, each));
  if (node?.op !== "Conv" || others.length > 0) return undefined;
  const [outputs, inner, ...window] = graph.constants.get(node.inputs[1]!)!.dims as [number, number, ...number[]];
  if (inner === 1 && Number(node.attributes.group ?? 1) === outputs) return { node, kind: "depthwise" };
  return inner > 1 && window.every((size) => size === 1) ? { node, kind: "pointwise" } : undefined;
}

/**
 * A depthwise convolution mixes no channels and is half of a layer: it is learned with the pointwise one behind it, and with the one before
 * it where that widens for it. So an inverted residual is a block without a shortcut, too, as in Li et al. 2021.
 */
function joinDepthwise(graph: Graph, parts: readonly GraphNode[][]): GraphNode[][] {
  const joined: GraphNode[][] = [];
  for (let i = 0; i < parts.length; i++) {
    const part = [...parts[i]!];
    if (onlyConvolution(graph, part)?.kind === "depthwise") {
      const before = onlyConvolution(graph, joined.at(-1) ?? []);
      const widens = before?.kind === "pointwise" && outputsOf(graph, before.node) > graph.constants.get(before.node.inputs[1]!)!.dims[1]!;
      if (widens) part.unshift(...joined.pop()!);
      if (onlyConvolution(graph, parts[i + 1] ?? [])?.kind === "pointwise") part.push(...parts[++i]!);
    }
    joined.push(part);
  }
  return joined;
}

/**
 * Cuts wherever one value alone is alive: residual units, inverted residuals with a shortcut, branches that are joined again; and joins
 * depthwise convolutions to their neighbours.
 */
const blocks: Grouping = (graph, units) => {
  const lastRead = new Map<string, number>();
  units.forEach((unit, i) => {
    for (const node of unitNodes(unit)) for (const input of node.inputs) lastRead.set(input, i);
  });
  for (const output of graph.outputs) lastRead.set(output, units.length);
  const alive = new Set<string>();
  const groups: { nodes: GraphNode[]; follows: boolean }[] = [];
  let nodes: GraphNode[] = [];
  let follows = true;
  for (const name of graph.inputs) if (lastRead.has(name)) alive.add(name);
  units.forEach((unit, i) => {
    nodes.push(...unitNodes(unit));
    follows &&= unit.kind === "pointwise";
    for (const node of unitNodes(unit)) {
      for (const output of node.outputs) if ((lastRead.get(output) ?? -1) > i) alive.add(output);
    }
    for (const value of alive) if (lastRead.get(value)! <= i) alive.delete(value);
    if (alive.size > 1) return;
    groups.push({ nodes, follows });
    nodes = [];
    follows = true;
  });
  if (nodes.length > 0) groups.push({ nodes, follows });
  return joinDepthwise(graph, withWeights(graph, groups));
};

export const scopes: Readonly<Record<ScopeName, Grouping>> = { layer: layers, block: blocks };

/** The parts of a prepared graph under a scope. */
export function findParts(graph: Graph, scope: ScopeName): Part[] {
  const position = new Map(graph.nodes.map((node, i) => [node, i]));
  const readersOf = readers(graph);
  const seen = new Set<GraphNode>();
  return scopes[scope](graph, findUnits(graph, "wide")).map((group) => {
    // Two tables may share nodes: the first part that has a node makes its value.
    const nodes = [...new Set(group)].filter((node) => !seen.has(node)).sort((a, b) => position.get(a)! - position.get(b)!);
    for (const node of nodes) seen.add(node);
    const own = new Set(nodes);
    const made = new Set(nodes.flatMap((node) => node.outputs));
    const inputs = new Set(nodes.flatMap((node) => node.inputs.filter((name) => name && !made.has(name) && !graph.constants.has(name))));
    const outputs = nodes.flatMap((node) =>
      node.outputs.filter((name) => name && (readersOf.get(name) ?? []).some((reader) => !reader || !own.has(reader))),
    );
    const anchor = nodes.find((node) => isWeighted(graph, node)) ?? nodes[0]!;
    return { name: anchor.name, nodes, inputs: [...inputs], outputs };
  });
}
