// Functions of one value, element by element: whatever stands between two quantized values becomes one table.
import type { Graph, GraphNode } from "../graph/types.ts";

const pointwiseOps = new Set(
  (
    "Relu LeakyRelu PRelu Elu Clip HardSwish HardSigmoid Sigmoid Tanh Softplus Mish Swish Gelu Erf Exp Log Sqrt Pow Abs Neg Reciprocal " +
    "Floor Ceil Round Sign Add Sub Mul Div Min Max"
  ).split(" "),
);

/** For every value that is a pointwise function of exactly one other value: that value. What is behind one of `ends` starts anew there. */
export function findRoots(graph: Graph, fused: ReadonlySet<GraphNode>, ends: ReadonlySet<string>): Map<string, string> {
  const roots = new Map<string, string>();
  const rootOf = (value: string): string => (ends.has(value) ? value : (roots.get(value) ?? value));
  for (const node of graph.nodes) {
    if (!pointwiseOps.has(node.op) || fused.has(node)) continue;
    const inputs = node.inputs.filter((name) => name);
    const sources = new Set(inputs.filter((name) => !graph.constants.has(name)).map(rootOf));
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
