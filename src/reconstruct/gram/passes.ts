// In which order layers are settled, and which of them share a pass over the data.
import type { Graph } from "../../graph/types.ts";
import type { LayerView } from "./layer.ts";

/**
 * Layers by depth: how many of them the longest way from an input goes through. Those of one depth do not depend on each other.
 */
export function depths(graph: Graph, views: readonly LayerView[]): LayerView[][] {
  const own = new Map(views.map((view) => [view.node, view]));
  const depth = new Map<string, number>();
  const found: LayerView[][] = [];
  for (const node of graph.nodes) {
    const before = node.inputs.reduce((most, name) => Math.max(most, depth.get(name) ?? 0), 0);
    const view = own.get(node);
    if (view) {
      const members = found[before];
      if (members) members.push(view);
      else found[before] = [view];
    }
    for (const output of node.outputs) depth.set(output, before + (view ? 1 : 0));
  }
  return found.filter(Boolean);
}

/** Layers that are gathered together. */
export interface Pass {
  readonly layers: readonly LayerView[];
  /**
   * Those of the first depth: they make up for what the passes before lost. If the others did too, each from inputs that the first have
   * not yet put right, the same loss would be made up for many times over.
   */
  readonly first: ReadonlySet<LayerView>;
}

/** Neighbouring depths joined until there are at most `count` passes of about equally many. */
export function passesOf(layers: readonly LayerView[][], count: number): Pass[] {
  const passes = Math.min(count, layers.length);
  return Array.from({ length: passes }, (_, p) => {
    const [from, to] = [p, p + 1].map((at) => Math.floor((at * layers.length) / passes)) as [number, number];
    return { layers: layers.slice(from, to).flat(), first: new Set(layers[from]) };
  });
}

/** Multiply-adds that all passes together may take through the networks: the time of about a minute on two cores. */
const passBudget = 1.2e12;
const fewestPasses = 4;

/** As many passes as a fixed number of multiply-adds allows, by the sizes of the graph: never by a clock. */
export function affordablePasses(graph: Graph, views: readonly LayerView[], samples: number): number {
  let products = 0;
  for (const { node, columns } of views) {
    const dims = graph.facts.get(node.outputs[0]!)?.dims;
    const results = (dims ?? []).slice(1).reduce<number>((product, dim) => product * (typeof dim === "number" ? dim : 1), 1);
    products += results * columns;
  }
  return Math.max(fewestPasses, Math.floor(passBudget / Math.max(1, products * samples)));
}
