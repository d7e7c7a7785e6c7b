// Units of reconstruction: which parts of a network are learned together.

import type { Graph, GraphNode } from "./types.ts";

/** A part of a graph with weights: `subgraph(graph, inputs, [output])` is the part by itself. */
export interface Block {
  /** What its nodes' names have in common, or the name of its first node with weights. */
  readonly name: string;
  /** Computed values and graph inputs that it reads. */
  readonly inputs: readonly string[];
  readonly output: string;
  /** In execution order. */
  readonly nodes: readonly GraphNode[];
}

/** More layers than any published unit has: a larger part (a U-Net's outer skip) is not learned at once. */
const MOST_LAYERS = 12;

const layers: ReadonlySet<string> = new Set(["Conv", "ConvTranspose", "Gemm", "MatMul"]);

const activations: ReadonlySet<string> = new Set([
  ...["Relu", "LeakyRelu", "PRelu", "Clip", "Elu", "HardSwish", "HardSigmoid"],
  ...["Sigmoid", "Tanh", "Gelu", "Swish", "Softplus", "Mish"],
]);

/** Arithmetic with a constant: a bias or a scale that an exporter wrote as a node. */
const arithmetic: ReadonlySet<string> = new Set(["Add", "Sub", "Mul", "Div"]);

/**
 * The blocks of a graph in execution order. Every node with weights is in exactly one; nodes without weights between blocks (pools,
 * reshapes, a normalization before the head) are in none.
 *
 * The rule, from the graph alone:
 * 1. What lies between two values that are each alone alive, if it branches, is one block with the activation after it: residual
 *    units with their shortcut, inverted residuals with one, attention and MLP sub-blocks of transformers, cells that end in a
 *    Concat. More than 12 layers between them are too many for one block, and fall under 3.
 * 2. An inverted residual without a shortcut is one block: 1×1 convolution with activation (absent at expansion 1), depthwise
 *    convolution with activation, 1×1 convolution without.
 * 3. Everything else is a block a layer: the layer, a bias or scale written apart, and its activation.
 *
 * @source Y. Li et al., "BRECQ", ICLR 2021, §3.2: a block is the residual bottleneck, other layers stand alone
 */
export function findBlocks(graph: Graph): Block[] {
  const { nodes } = graph;
  const view = new View(graph);
  const ends = bottlenecks(graph);
  const last = nodes.length - 1;
  if (graph.outputs.length === 1 && ends.at(-1) !== last) ends.push(last);
  const parts: GraphNode[][] = [];
  let used = 0;
  for (const end of new Set([...ends, last])) {
    const piece = nodes.slice(used, end + 1);
    const count = piece.filter((node) => view.isLayer(node)).length;
    if (piece.length > 1 && count >= 1 && count <= MOST_LAYERS && ends.includes(end)) {
      const followers = view.followers(nodes[end]!);
      parts.push([...piece, ...followers]);
    } else {
      for (const node of piece) if (view.isLayer(node)) parts.push([node, ...view.followers(node)]);
    }
    used = end + 1;
  }
  return named(mergeInverted(parts, view).map((part) => blockOf(part, view)));
}

/**
 * Indices of nodes after which one computed value alone is still to be read: the whole rest of the network hangs on it.
 * Constants do not count.
 */
export function bottlenecks(graph: Graph): number[] {
  const lastRead = new Map<string, number>();
  graph.nodes.forEach((node, index) => {
    for (const name of node.inputs) if (name !== "" && !graph.constants.has(name)) lastRead.set(name, index);
  });
  const alive = new Set(graph.inputs.filter((name) => lastRead.has(name)));
  return graph.nodes.flatMap((node, index) => {
    for (const name of node.outputs) if ((lastRead.get(name) ?? -1) > index) alive.add(name);
    for (const name of node.inputs) if (lastRead.get(name) === index) alive.delete(name);
    return alive.size === 1 ? [index] : [];
  });
}

/** What the rule asks of a graph. */
class View {
  readonly graph: Graph;
  readonly #readers: Map<string, GraphNode[]> = new Map();

  constructor(graph: Graph) {
    this.graph = graph;
    for (const node of graph.nodes) {
      for (const name of new Set(node.inputs)) {
        const readers = this.#readers.get(name);
        if (readers) readers.push(node);
        else this.#readers.set(name, [node]);
      }
    }
  }

  /** A matrix product of two activations has no weights. */
  isLayer(node: GraphNode): boolean {
    return layers.has(node.op) && node.inputs.slice(0, 2).some((name) => this.graph.constants.has(name));
  }

  /** Constant arithmetic and the activation that only this node's result goes through, in order. */
  followers(node: GraphNode): GraphNode[] {
    const found: GraphNode[] = [];
    for (let last = node; ; last = found.at(-1)!) {
      const readers = this.#readers.get(last.outputs[0]!) ?? [];
      const [next] = readers;
      if (!next || readers.length > 1 || this.graph.outputs.includes(last.outputs[0]!)) return found;
      const computed = next.inputs.filter((name) => name !== "" && !this.graph.constants.has(name));
      const isActivation = activations.has(next.op);
      if (computed.length > 1 || !(isActivation || arithmetic.has(next.op))) return found;
      found.push(next);
      if (isActivation) return found;
    }
  }
}

/** Windows and groups of the convolution that a part of one layer is, and whether an activation ends it. */
function convolution(part: readonly GraphNode[], { graph }: View): "pointwise" | "depthwise" | undefined {
  const [node] = part;
  const dims = node?.op === "Conv" ? graph.facts.get(node.inputs[1]!)?.dims : undefined;
  if (!node || !dims || part.slice(1).some(({ op }) => layers.has(op))) return undefined;
  const group = (node.attributes.group as number | undefined) ?? 1;
  if (group === 1) return dims.slice(2).every((size) => size === 1) ? "pointwise" : undefined;
  return group === dims[0] && dims[1] === 1 ? "depthwise" : undefined;
}

const endsInActivation = (part: readonly GraphNode[]): boolean => activations.has(part.at(-1)!.op);

function mergeInverted(parts: readonly GraphNode[][], view: View): GraphNode[][] {
  const result: GraphNode[][] = [];
  const follows = (a: GraphNode[], b: GraphNode[]): boolean => a.at(-1)!.outputs[0] === b[0]!.inputs[0];
  for (const part of parts) {
    const depthwise = result.at(-1);
    const isEnd = convolution(part, view) === "pointwise" && !endsInActivation(part);
    const projects =
      isEnd && depthwise && convolution(depthwise, view) === "depthwise" && endsInActivation(depthwise) && follows(depthwise, part);
    if (!projects) {
      result.push(part);
      continue;
    }
    result.pop();
    const before = result.at(-1);
    const expands = before && convolution(before, view) === "pointwise" && endsInActivation(before) && follows(before, depthwise);
    if (expands) result.pop();
    result.push([...(expands ? before : []), ...depthwise, ...part]);
  }
  return result;
}

function blockOf(nodes: readonly GraphNode[], { graph }: View): Block & { readonly first: string } {
  const made = new Set(nodes.flatMap((node) => node.outputs));
  const inputs = new Set(
    nodes.flatMap((node) => node.inputs.filter((name) => name !== "" && !made.has(name) && !graph.constants.has(name))),
  );
  const layer = nodes.find((node) => layers.has(node.op))!;
  return {
    name: commonPath(nodes.map(({ name }) => name)),
    first: layer.name,
    inputs: [...inputs],
    output: nodes.at(-1)!.outputs[0]!,
    nodes,
  };
}

/** The longest beginning up to a '/' or '.' that all names share, without it: "/layer1/layer1.0". */
function commonPath(names: readonly string[]): string {
  const [first = ""] = names;
  let length = first.length;
  for (const name of names) {
    let same = 0;
    while (same < length && name[same] === first[same]) same++;
    length = same;
  }
  if (names.length === 1) return first;
  const cut = Math.max(first.lastIndexOf("/", length - 1), first.lastIndexOf(".", length - 1));
  return cut > 0 ? first.slice(0, cut) : "";
}

const isBelow = (name: string, path: string): boolean => name === path || name.startsWith(`${path}/`) || name.startsWith(`${path}.`);

/** A common path names a block where no other block has it too, nor a part of it. */
function named(blocks: readonly (Block & { readonly first: string })[]): Block[] {
  return blocks.map(({ first, ...block }) => {
    const { name } = block;
    const alone = name !== "" && blocks.every((other) => other.output === block.output || !isBelow(other.name, name));
    return { ...block, name: alone ? name : first };
  });
}
