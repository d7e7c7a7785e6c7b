import { HalftoneError } from "../errors.ts";
import { isKnown, productOfDims, substituteDim } from "../graph/dims.ts";
import type { Dim, Graph, Tensor } from "../graph/types.ts";
import type { DeviceTensor } from "./types.ts";

/**
 * Feeds against the graph's inputs: all there, none more, right types, known sizes equal, a symbol of one size everywhere.
 * @throws HalftoneError INPUT_MISSING, INPUT_MISMATCH
 */
export function checkFeeds(graph: Graph, feeds: ReadonlyMap<string, Tensor | DeviceTensor>): void {
  const known = graph.inputs.map((name) => `'${name}'`).join(", ");
  for (const name of feeds.keys()) {
    if (!graph.inputs.includes(name)) {
      throw new HalftoneError(
        "INPUT_MISMATCH",
        `input '${name}'`,
        "a tensor of that name",
        `only ${known}`,
        "Remove it or correct its name.",
      );
    }
  }
  const symbols = new Map<string, number>();
  for (const name of graph.inputs) {
    const feed = feeds.get(name);
    if (!feed)
      throw new HalftoneError("INPUT_MISSING", `input '${name}'`, "no tensor", "one for every graph input", `The model reads ${known}.`);
    checkFeed(name, feed, graph, symbols);
  }
}

function checkFeed(name: string, feed: Tensor | DeviceTensor, graph: Graph, symbols: Map<string, number>): void {
  const fact = graph.facts.get(name);
  const place = `input '${name}'`;
  const dtype = "ptr" in feed ? "float32" : feed.dtype;
  if (fact && dtype !== fact.dtype) throw new HalftoneError("INPUT_MISMATCH", place, dtype, fact.dtype);
  if ("data" in feed && feed.data.length !== productOfDims(feed.dims)) {
    throw new HalftoneError("INPUT_MISMATCH", place, `${feed.data.length} elements`, `${productOfDims(feed.dims)} for ${show(feed.dims)}`);
  }
  const dims = fact?.dims;
  if (!dims) return;
  if (feed.dims.length !== dims.length) throw new HalftoneError("INPUT_MISMATCH", place, show(feed.dims), show(dims));
  dims.forEach((dim, axis) => {
    const size = feed.dims[axis]!;
    if (typeof dim === "string" && !dim.includes("*") && !symbols.has(dim)) symbols.set(dim, size);
    const expected = substituteDim(dim, symbols);
    if (isKnown(expected) && expected !== size) {
      throw new HalftoneError("INPUT_MISMATCH", place, show(feed.dims), `${show(dims)} (axis ${axis}: ${expected})`);
    }
  });
}

function show(dims: readonly Dim[]): string {
  return `[${dims.join(", ")}]`;
}
