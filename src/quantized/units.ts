// The graph cut into what the integer program executes: fusions, tables, and single nodes. Sites, lowering and QDQ export all read this one cut.
import type { Graph, GraphNode } from "../graph/types.ts";
import { findFusions, type Fusion, type ResidualMode, readers } from "./fusions.ts";
import { findRoots } from "./pointwise.ts";

/** A function of one value, element by element: the nodes between `root` and `output` become one table. */
export interface PointwiseUnit {
  readonly kind: "pointwise";
  readonly root: string;
  readonly output: string;
  /** In graph order; may hold nodes that another table computes too. */
  readonly nodes: readonly GraphNode[];
}

export interface FusedUnit extends Fusion {
  readonly kind: "fused";
}

/** Everything else: pools, copies, concatenation, softmax, sums of values without a weighted producer. */
export interface NodeUnit {
  readonly kind: "node";
  readonly node: GraphNode;
}

export type Unit = PointwiseUnit | FusedUnit | NodeUnit;

export const unitNodes = (unit: Unit): readonly GraphNode[] => (unit.kind === "node" ? [unit.node] : unit.nodes);
export const unitOutputs = (unit: Unit): readonly string[] =>
  unit.kind === "node" ? unit.node.outputs.filter((name) => name) : [unit.output];

/**
 * The units of a graph in an order of execution.
 *
 * @param ends values that leave as codes whatever reads them: no unit goes on behind one
 */
export function findUnits(graph: Graph, residualMode: ResidualMode, ends: ReadonlySet<string> = new Set()): Unit[] {
  const fusions = findFusions(graph, residualMode, ends);
  const fused = new Set(fusions.flatMap((fusion) => fusion.nodes));
  const fusionByLast = new Map(fusions.map((fusion) => [fusion.nodes.at(-1)!, fusion]));
  const roots = findRoots(graph, fused, ends);
  const readersOf = readers(graph);
  const producer = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));

  const units: Unit[] = [];
  for (const node of graph.nodes) {
    const fusion = fusionByLast.get(node);
    if (fusion) units.push({ kind: "fused", ...fusion });
    if (fused.has(node)) continue;
    const output = node.outputs[0]!;
    const root = roots.get(output);
    if (root === undefined) units.push({ kind: "node", node });
    else {
      const inner = (reader: GraphNode | undefined): boolean => reader !== undefined && roots.get(reader.outputs[0]!) === root;
      if (ends.has(output) || !(readersOf.get(output) ?? []).every(inner)) {
        units.push({ kind: "pointwise", root, output, nodes: between(root, output, producer, graph) });
      }
    }
  }
  return units;
}

function between(root: string, output: string, producer: ReadonlyMap<string, GraphNode>, graph: Graph): GraphNode[] {
  const wanted = new Set<GraphNode>();
  const visit = (value: string): void => {
    const node = value === root ? undefined : producer.get(value);
    if (!node || wanted.has(node)) return;
    wanted.add(node);
    for (const input of node.inputs) visit(input);
  };
  visit(output);
  return graph.nodes.filter((node) => wanted.has(node));
}
