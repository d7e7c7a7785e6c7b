// The main job: a float model and samples become codes, scales and zero points.
import { imageChannels, modelInput, stackSamples } from "./data/batch.ts";
import { checkPreprocessing, decodeSample } from "./data/preprocess.ts";
import type { Dataset, Preprocessing } from "./data/types.ts";
import { assert, HalftoneError } from "./errors.ts";
import type { Encoding } from "./formats/encoding.ts";
import { quantizeOne, tensorEncoding, unsignedCodes } from "./formats/linear.ts";
import { quantizeWeights } from "./formats/weights.ts";
import { reconstructGram } from "./gram.ts";
import { prepare } from "./graph/prepare.ts";
import type { Graph, GraphNode, Tensor } from "./graph/types.ts";
import { readModel } from "./onnx/read.ts";
import { writeModel } from "./onnx/write.ts";
import { biasScale, largestBias } from "./quantized/bias.ts";
import { isWeighted, readers } from "./quantized/fusions.ts";
import { foldedWeights, pixelCodes, pixelReaders } from "./quantized/pixels.ts";
import { defaultOptions, type LayerOptions, layerOptions, type QuantizeOptions, selectNodes } from "./quantized/options.ts";
import { findSites, makers } from "./quantized/sites.ts";
import type { PixelCodes, PixelInput, Quantized, QuantizedWeight, Site } from "./quantized/types.ts";
import { movedBesides } from "./reconstruct/augment.ts";
import { activationsAlone } from "./reconstruct/phases.ts";
import { calibrate } from "./calibrate.ts";
import { correct, equalize } from "./channels.ts";
import { nearestToFloat } from "./choose-ranges.ts";
import { learnedParts, type PartStore } from "./checkpoints.ts";
import { crewOf } from "./crew.ts";
import { spread } from "./data/spread.ts";
import { Histogram } from "./ranges/histogram.ts";
import { chooseEncoding, fixedRange } from "./ranges/rules.ts";
import { chooseMethod } from "./reconstruct/choose.ts";
import type { Method } from "./reconstruct/methods.ts";
import { layerViews } from "./reconstruct/gram/layer.ts";
import { affordablePasses } from "./reconstruct/gram/passes.ts";
import { planOf, workOf } from "./reconstruct/network/budget.ts";
import { type ReconstructOptions, reconstruct, type SampleSource } from "./reconstruct/reconstruct.ts";
import { sha256 } from "./tasks/hash.ts";
import { createMeter } from "./tasks/progress.ts";
import type { WorkOptions } from "./tasks/types.ts";
import { learnWhole } from "./whole.ts";

/** A model and the samples it is calibrated on. */
export interface QuantizeInput {
  /** The model file. */
  readonly model: Uint8Array;
  /** Its name, for messages and provenance. */
  readonly name: string;
  /** Calibration data; labels are not read. */
  readonly dataset: Dataset;
  readonly preprocessing: Preprocessing;
  readonly labels?: readonly string[] | undefined;
}

/** Where the work is done and who hears of it. */
export interface QuantizeWork extends WorkOptions {
  /** Called when a part of the network has been learned. */
  readonly onPart?: ReconstructOptions["onPart"];
  /** Where a killed run continues. */
  readonly checkpoints?: PartStore | undefined;
  /** Histograms that are there already, by value: samples are then not run for them, unless channels are equalized before. */
  readonly observe?: ((values: readonly string[]) => Promise<ReadonlyMap<string, Histogram>>) | undefined;
}

/**
 * Post-training quantization: ranges from streamed statistics, weights to their nearest codes, and then, if the method learns, to the codes
 * with which each part of the network answers best. The result does not depend on the number of workers.
 *
 * @throws HalftoneError for models, data and options that cannot be used, each with its place
 */
export async function quantize(input: QuantizeInput, options: Partial<QuantizeOptions> = {}, work: QuantizeWork = {}): Promise<Quantized> {
  const merged: QuantizeOptions = { ...defaultOptions, ...options };
  const method = chooseMethod(merged);
  const chosen = withDefaults(merged, method);
  if (!Number.isInteger(chosen.samples) || chosen.samples < 1)
    throw new HalftoneError("OPTION_INVALID", "--samples", String(chosen.samples), "a whole number, 1 or more");
  checkPreprocessing(input.preprocessing);
  const { dataset, preprocessing } = input;
  const run = { dataset, samples: chosen.samples, preprocessing, ...work };
  const plain = prepare(readModel(input.model));
  const graph = chosen.equalize ? await equalize(input.model, plain, run) : plain;
  const model = graph === plain ? input.model : writeModel(graph);
  const stored = chosen.residual === "wide" ? pixelCodes(preprocessing, (await dataset.read(0, 1))[0]!.format) : undefined;
  const known = graph === plain ? work.observe : undefined;
  const observe = once(known ?? ((values) => calibrate({ model, values, ...run })));
  const rules = chosen.ranges === "auto" ? autoRules : [chosen.ranges];
  const encoded = await Promise.all(rules.map((ranges) => encodeGraph(graph, { ...chosen, ranges }, observe, stored)));
  // Weights are the same whatever the ranges, and so are the biases that make up for them.
  const settled = chosen.correct ? await correct(graph, correctedWeights(encoded[0]!), run) : graph;
  const sourceHash = await sha256(input.model);
  const candidates = rules.map((ranges, i): Quantized => {
    const { name: source, labels } = input;
    const provenance = { source, sourceHash, options: { ...chosen, ranges }, seed: chosen.seed, preprocessing, labels };
    return { ...encoded[i]!, graph: settled, provenance };
  });
  const nearest =
    candidates.length > 1 ? await nearestToFloat(candidates, input.model, dataset, preprocessing, chosen.residual, work) : candidates[0]!;
  const samples = Math.min(chosen.samples, dataset.length);
  const source = sampleSource(input, nearest.graph, samples);
  const { network } = method;
  const equalized = { ...input, model };
  if (!network) return roundParts(nearest, equalized, chosen, method, source, work);
  const passes = Math.min(nearest.weights.size, affordablePasses(graph, layerViews(graph, nearest.weights), samples));
  const plan = planOf(network.budget, workOf(graph), samples, network.batch, passes);
  const rounded = await roundParts(nearest, equalized, { ...chosen, learning: {}, samples: plan.samples }, method, source, work);
  const { floatActivations, seed } = chosen;
  const iterations = network.iterations ?? plan.iterations;
  return learnWhole(rounded, dataset, source, network, { iterations, floatActivations }, { ...work, seed });
}

/** Tried where codes have 8 bits and nothing is learned: the network says which. Heavy tails want the second. */
const autoRules = ["mse", "percentile"] as const;

/** The first answer again, for the same question. */
function once<T>(ask: (values: readonly string[]) => Promise<T>): (values: readonly string[]) => Promise<T> {
  let answer: Promise<T> | undefined;
  return (values) => (answer ??= ask(values));
}

/** Layers that read pixels have one bias and two roundings, with the input's gain in the weights and without: it stays as it is. */
const correctedWeights = ({ weights, pixels }: Omit<Quantized, "provenance">): Map<string, QuantizedWeight> =>
  new Map([...weights].filter(([node]) => !pixels?.weights.has(node)));

/** What is left open is chosen: weights that are learned make up for lost channels and shifted means by themselves. */
function withDefaults(options: QuantizeOptions, method: Method): QuantizeOptions & { equalize: boolean; correct: boolean } {
  const learned = method.gram !== undefined || method.network !== undefined || method.parametrization !== "nearest";
  if (learned && options.correct) {
    const hint = "Learned codes and biases make up for the mean by themselves.";
    throw new HalftoneError("OPTION_INVALID", "--correct", `method ${options.method}`, "a method that learns nothing", hint);
  }
  const plain = !learned && options.weights === 8 && options.activations === 8;
  const { weightRanges = method.weightRange, equalize = plain, correct = plain } = options;
  const ranges = options.ranges === "auto" && !plain ? "mse" : options.ranges;
  return { ...options, ranges, weightRanges, equalize, correct };
}

/** The network with the codes that its parts get one after the other. */
async function roundParts(
  nearest: Quantized,
  input: QuantizeInput,
  chosen: QuantizeOptions,
  method: Method,
  source: SampleSource,
  work: QuantizeWork,
): Promise<Quantized> {
  if (method.gram) {
    const { samples, residual, learning } = chosen;
    const { iterations, rate, lambda } = { ...method.gram, ...learning };
    const { quantized } = await reconstructGram(nearest, input, { ...method.gram, iterations, rate, lambda, samples, residual }, work);
    return quantized;
  }
  if (method.parametrization === "nearest") return nearest;
  let start = nearest;
  if (method.start === "codes") {
    const { samples, residual } = chosen;
    const { signal, executor } = work;
    start = (await reconstructGram(nearest, input, { ...warmStart, samples, residual }, { signal, executor })).quantized;
  }
  const samples = method.moved ? movedBesides(source, chosen.seed) : source;
  const learned = await learnParts(start, samples, method, chosen.seed, work);
  if (!method.activationPhase) return learned;
  const settled = await learnParts(learned, samples, activationsAlone(method, method.activationPhase), chosen.seed, work, "activations-");
  const parts = [...(learned.provenance.parts ?? []), ...(settled.provenance.parts ?? [])];
  return { ...settled, provenance: { ...settled.provenance, parts } };
}

/** Codes to start from; biases stay, as learning knows those of the float network. */
const warmStart = { start: "gptq", sweeps: 0, keepBias: true } as const;

async function learnParts(
  start: Quantized,
  source: SampleSource,
  method: Method,
  seed: number,
  { signal, onPart, checkpoints, onProgress, executor }: QuantizeWork,
  prefix = "",
): Promise<Quantized> {
  const { iterations } = method.schedule;
  let meter: ((done: number) => void) | undefined;
  const { quantized } = await reconstruct(start, source, method, {
    seed,
    signal,
    onPart,
    checkpoints: checkpoints && learnedParts(checkpoints, prefix),
    crew: crewOf(executor, signal),
    onStep(part, parts, step) {
      meter ??= createMeter("reconstruct", parts * iterations, onProgress);
      meter(part * iterations + step);
    },
  });
  return quantized;
}

/** Calibration samples as the model's input, evenly spread over the data. */
export function sampleSource({ dataset, preprocessing }: QuantizeInput, graph: Graph, length: number): SampleSource {
  const input = modelInput(graph);
  const samples = spread(dataset, length);
  return {
    length,
    async read(first, count) {
      const raw = await samples.read(first, first + count);
      const decoded = await Promise.all(raw.map((sample) => decodeSample(sample, preprocessing, imageChannels(input.dims))));
      const places = raw.map(({ place }) => place);
      return stackSamples(decoded, places, input);
    },
  };
}

/**
 * The same for a prepared graph, wherever its statistics come from.
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

/** Axis of the output channels; null where no axis is theirs. */
function outputAxis(node: GraphNode): number | null {
  // [I, O / groups, …]: an index of axis 1 stands for a channel of every group.
  if (node.op === "ConvTranspose") return Number(node.attributes.group ?? 1) === 1 ? 1 : null;
  if (node.op === "MatMul") return 1;
  return node.op === "Gemm" && !node.attributes.transB ? 1 : 0;
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
  const axis = options.granularity === "channel" ? outputAxis(node) : null;
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
