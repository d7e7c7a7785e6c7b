// A weighted node as matrices: one for each group of channels, rows the outputs, columns the taps of a window.
import type { Graph, GraphNode } from "../../graph/types.ts";
import { isWeighted } from "../../quantized/fusions.ts";

/** Columns of a convolution run over (ky, kx, channel), as its windows lie in memory; of a product over its inputs. */
export interface LayerView {
  readonly node: GraphNode;
  /** The activation that it reads. */
  readonly input: string;
  readonly groups: number;
  /** Outputs of one group. */
  readonly rows: number;
  /** Inputs of one output. */
  readonly columns: number;
  /** One input and one output channel a group. */
  readonly depthwise: boolean;
  /** A constant bias with one element per output. */
  readonly bias: string | undefined;
  /** Where the weight of output `o` (counted over all groups) and column `i` lies in the weight tensor. */
  offset(o: number, i: number): number;
}

/** Undefined for nodes that have no such form: transposed and three-dimensional convolutions, scaled or transposed products. */
export function layerView(graph: Graph, node: GraphNode): LayerView | undefined {
  if (!isWeighted(graph, node)) return undefined;
  const shape = node.op === "Conv" ? convolutionView(graph, node) : productView(graph, node);
  if (!shape) return undefined;
  const bias = graph.constants.get(node.inputs[2] ?? "");
  const outputs = shape.groups * shape.rows;
  return { ...shape, node, input: node.inputs[0]!, bias: bias?.data.length === outputs ? node.inputs[2] : undefined };
}

/** Those of a graph's nodes whose weights have codes, in order. */
export function layerViews(graph: Graph, weights: ReadonlyMap<string, unknown>): LayerView[] {
  return graph.nodes.flatMap((node) => (weights.has(node.name) && layerView(graph, node)) || []);
}

type Shape = Pick<LayerView, "groups" | "rows" | "columns" | "depthwise" | "offset">;

function convolutionView(graph: Graph, node: GraphNode): Shape | undefined {
  const [outputs, inner, ...kernel] = graph.constants.get(node.inputs[1]!)!.dims as [number, number, ...number[]];
  if (kernel.length < 1 || kernel.length > 2 || outputs * inner === 0) return undefined;
  const taps = kernel.reduce((product, size) => product * size, 1);
  const groups = Number(node.attributes.group ?? 1);
  return {
    groups,
    rows: outputs / groups,
    columns: taps * inner,
    depthwise: groups > 1 && inner === 1 && outputs === groups,
    offset: (o, i) => (o * inner + (i % inner)) * taps + Math.floor(i / inner),
  };
}

function productView(graph: Graph, node: GraphNode): Shape | undefined {
  const { dims } = graph.constants.get(node.inputs[1]!)!;
  const { alpha = 1, beta = 1, transA = 0, transB = 0 } = node.attributes as Record<string, number>;
  if ((node.op !== "Gemm" && node.op !== "MatMul") || dims.length !== 2 || dims.includes(0)) return undefined;
  if (alpha !== 1 || beta !== 1 || transA !== 0) return undefined;
  const [first, second] = dims as [number, number];
  if (transB) return { groups: 1, rows: first, columns: second, depthwise: false, offset: (o, i) => o * second + i };
  return { groups: 1, rows: second, columns: first, depthwise: false, offset: (o, i) => i * second + o };
}

/** The tensor as rows of all groups, [groups · rows][columns]. */
export function toRows(view: LayerView, data: ArrayLike<number>): Float64Array {
  const { groups, rows, columns } = view;
  const out = new Float64Array(groups * rows * columns);
  for (let o = 0, at = 0; o < groups * rows; o++) for (let i = 0; i < columns; i++, at++) out[at] = data[view.offset(o, i)]!;
  return out;
}

/** The inverse of `toRows`, into `data`. */
export function fromRows<T extends Int8Array | Float32Array>(view: LayerView, values: ArrayLike<number>, data: T): T {
  const { groups, rows, columns } = view;
  for (let o = 0, at = 0; o < groups * rows; o++) for (let i = 0; i < columns; i++, at++) data[view.offset(o, i)] = values[at]!;
  return data;
}
