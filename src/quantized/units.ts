// The graph cut into what the integer program executes: fusions, tables, and single nodes. Sites, lowering and QDQ export all read this one cut.
import type { Graph, GraphNode } from "../graph/types.ts";
import { findFusions, type Fusion, type ResidualMode, readers } from "./fusions.ts";

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

const pointwiseOps = new Set(
  (
    "Relu LeakyRelu PRelu Elu Clip HardSwish HardSigmoid Sigmoid Tanh Softplus Mish Swish Gelu Erf Exp Log Sqrt Pow Abs Neg Reciprocal " +
    "Floor Ceil Round Sign Add Sub Mul Div Min Max"
  ).split(" "),
);

/** The units of a graph in an order of execution. */
export function findUnits(graph: Graph, residualMode: ResidualMode): Unit[] {
  const fusions = findFusions(graph, residualMode);
  const fused = new Set(fusions.flatMap((fusion) => fusion.nodes));
  const fusionByLast = new Map(fusions.map((fusion) => [fusion.nodes.at(-1)!, fusion]));
  const roots = findRoots(graph, fused);
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
      if (!(readersOf.get(output) ?? []).every(inner)) {
        units.push({ kind: "pointwise", root, output, nodes: between(root, output, producer, graph) });
      }
    }
  }
  return units;
}

/** For every value that is a pointwise function of exactly one other value: that value. */
function findRoots(graph: Graph, fused: ReadonlySet<GraphNode>): Map<string, string> {
  const roots = new Map<string, string>();
  for (const node of graph.nodes) {
    if (!pointwiseOps.has(node.op) || fused.has(node)) continue;
    const inputs = node.inputs.filter((name) => name);
    const sources = new Set(inputs.filter((name) => !graph.constants.has(name)).map((name) => roots.get(name) ?? name));
    const [root] = sources;
    const constantsFit = inputs.every((name) => !graph.constants.has(name) || isPerChannel(graph, name, root));
    if (root !== undefined && sources.size === 1 && constantsFit) roots.set(node.outputs[0]!, root);
  }
  return roots;
}

/** One element, or one per index of the value's channel axis (axis 1 of images, the last axis otherwise). */
function isPerChannel(graph: Graph, constant: string, root: string | undefined): boolean {
  const dims = graph.constants.get(constant)!.dims;
  const size = dims.reduce((product, d) => product * d, 1);
  if (size === 1) return true;
  const rank = graph.facts.get(root ?? "")?.dims?.length ?? 0;
  const axisFromEnd = rank === 4 ? 3 : 1;
  return dims.length >= axisFromEnd && dims[dims.length - axisFromEnd] === size;
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
