// A prepared graph and its statistics become encodings, and its weights their nearest codes.
import { assert, HalftoneError } from "./errors.ts";
import type { Encoding } from "./formats/encoding.ts";
import { quantizeOne, tensorEncoding, unsignedCodes } from "./formats/linear.ts";
import { quantizeWeights } from "./formats/weights.ts";
import type { Graph, GraphNode, Tensor } from "./graph/types.ts";
import { biasScale, largestBias } from "./quantized/bias.ts";
import { isWeighted, outputAxis, readers } from "./quantized/fusions.ts";
import { type LayerOptions, layerOptions, type QuantizeOptions, selectNodes } from "./quantized/options.ts";
import { foldedWeights, pixelReaders } from "./quantized/pixels.ts";
import { findSites, makers } from "./quantized/sites.ts";
import type { PixelCodes, PixelInput, Quantized, QuantizedWeight, Site } from "./quantized/types.ts";
import { Histogram } from "./ranges/histogram.ts";
import { chooseEncoding, fixedRange } from "./ranges/rules.ts";

/**
 * Encodings of all activations and the nearest codes of all weights of a prepared graph, wherever its statistics come from.
 *
 * @param observe a histogram for each of these values
 * @param stored  how samples are stored, where the program may take them so
 */
export async function encodeGraph(
  graph: Graph,
  chosen: QuantizeOptions,
  observe: (values: readonly string[]) => Promise<ReadonlyMap<string, Histogram>>,
  stored?: PixelCodes,
): Promise<Omit<Quantized, "provenance">> {
  const names = graph.nodes.map(({ name }) => name);
  const excluded = selectNodes(chosen.exclude, names, "--exclude");
  const optionsOf = layerOptions(chosen, names);
  const makerOf = makers(graph);
  const weighted = graph.nodes.filter((node) => isWeighted(graph, node) && !excluded.has(node.name));
  const ends = new Set(chosen.firstLast === 8 ? [weighted[0], weighted.at(-1)] : []);

  const found = usefulSites(graph, findSites(graph, chosen.activations), excluded);
  const lastInput = chosen.firstLast === 8 ? found.find(({ value }) => value === weighted.at(-1)?.inputs[0])?.group : undefined;
  const sites = found.map((site): Site => {
    const maker = makerOf.get(site.group);
    // What enters the network keeps 8 bits: it is pixels, or as good as.
    return { ...site, bits: maker && site.group !== lastInput ? optionsOf(maker.name).activations : 8 };
  });
  const fixedOf = (site: Site): ReturnType<typeof fixedRange> => fixedRange(makerOf.get(site.value)?.op ?? "", site.bits);
  const histograms = await observe(sites.filter((site) => !fixedOf(site)).map(({ value }) => value));

  const activations = new Map<string, Encoding>();
  for (const members of groups(sites)) {
    const first = members[0]!;
    const fixed = members.map(fixedOf).find((range) => range);
    const rule = optionsOf(makerOf.get(first.value)?.name ?? "").ranges;
    const encoding = fixed
      ? tensorEncoding(fixed, unsignedCodes(first.bits))
      : chooseEncoding(rule === "auto" ? "mse" : rule, merged(members, histograms), unsignedCodes(first.bits), first.value);
    for (const { value } of members) activations.set(value, encoding);
  }

  const weights = new Map<string, QuantizedWeight>();
  const coded = (node: GraphNode, tensor: Tensor, step: number | undefined): QuantizedWeight => {
    const own = optionsOf(node.name);
    // An override of the node itself is the user's last word.
    const options = ends.has(node) && own.weights === chosen.weights ? { ...own, weights: 8 } : own;
    return quantizedWeight(node, tensor, graph.constants.get(node.inputs[2] ?? ""), step, options);
  };
  for (const node of weighted) {
    weights.set(node.name, coded(node, graph.constants.get(node.inputs[1]!)!, activations.get(node.inputs[0]!)?.scale[0]));
  }
  const first = stored && pixelReaders(graph, stored);
  const entered = first?.nodes.every(({ name }) => weights.has(name)) ? first : undefined;
  const pixels: PixelInput | undefined = stored &&
    entered && {
      ...stored,
      values: entered.values,
      weights: new Map(entered.nodes.map((node) => [node.name, coded(node, foldedWeights(graph, node, stored), stored.step)])),
    };
  return { graph, sites, activations, weights, pixels, excluded: names.filter((name) => excluded.has(name)) };
}

/**
 * A value that only excluded nodes read stays float: between quantizers on both sides, ONNX Runtime would quantize their weights by
 * itself. What makes such a value runs in float arithmetic too, on its integer weights.
 */
function usefulSites(graph: Graph, sites: readonly Site[], excluded: ReadonlySet<string>): Site[] {
  const readersOf = readers(graph);
  return sites.filter(({ value }) => (readersOf.get(value) ?? []).some((reader) => !reader || !excluded.has(reader.name)));
}

function groups(sites: readonly Site[]): Site[][] {
  const byGroup = new Map<string, Site[]>();
  for (const site of sites) {
    const members = byGroup.get(site.group);
    if (members) members.push(site);
    else byGroup.set(site.group, [site]);
  }
  return [...byGroup.values()];
}

/** One histogram of all members: moved codes count again, which leaves extrema and shape as they are. */
function merged(members: readonly Site[], histograms: ReadonlyMap<string, Histogram>): Histogram {
  const sum = new Histogram();
  for (const { value } of members) sum.merge(histograms.get(value)!);
  return sum;
}

/** @param step of the input's codes, where the bias has codes too */
function quantizedWeight(
  node: GraphNode,
  tensor: Tensor,
  bias: Tensor | undefined,
  step: number | undefined,
  options: LayerOptions,
): QuantizedWeight {
  const place = `weights of ${node.op} '${node.name}'`;
  // [I, O / groups, …]: an index of axis 1 stands for a channel of every group.
  const shared = node.op === "ConvTranspose" && Number(node.attributes.group ?? 1) > 1;
  const axis = options.granularity === "channel" && !shared ? outputAxis(node) : null;
  const weight = quantizeWeights(
    tensor,
    axis,
    options.weights === 8
      ? { bits: 8, symmetric: true, range: "minmax" }
      : { bits: options.weights, symmetric: options.weightZeros === "symmetric", range: options.weightRanges ?? "mse" },
    place,
  );
  return bias && step !== undefined ? withRoomForBias(weight, tensor.data as Float32Array, bias.data as Float32Array, step, place) : weight;
}

/** A channel of tiny weights with a large bias: its scale is raised until the bias has a 31-bit code. */
function withRoomForBias(weight: QuantizedWeight, values: Float32Array, bias: Float32Array, step: number, place: string): QuantizedWeight {
  const { scale, granularity, zeroPoint, levels } = weight.encoding;
  assert(levels.kind === "linear", "weights are rounded to linear codes");
  const raised = scale.map((s, c) => {
    const largest = scale.length === 1 ? bias.reduce((most, b) => Math.max(most, Math.abs(b)), 0) : Math.abs(bias[c]!);
    return largest / biasScale(step, s) > largestBias ? (largest / (step * largestBias)) * 1.0001 : s;
  });
  if (raised.every((s, c) => s === scale[c])) return weight;
  if (granularity.kind === "group") throw new HalftoneError("OPTION_INVALID", place, "group scales", "channel or tensor scales");
  const axis = granularity.kind === "channel" ? granularity.axis : 0;
  const inner = weight.dims.slice(axis + 1).reduce((product, d) => product * d, 1);
  const codes = weight.codes.map((code, i) => {
    const c = scale.length === 1 ? 0 : Math.floor(i / inner) % scale.length;
    return raised[c] === scale[c] ? code : quantizeOne(values[i]!, raised[c]!, zeroPoint[c]!, levels.lo, levels.hi);
  });
  return { ...weight, codes, encoding: { ...weight.encoding, scale: raised } };
}
