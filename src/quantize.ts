// The main job: a float model and samples become codes, scales and zero points.
import { imageChannels, modelInput, stackSamples } from "./data/batch.ts";
import { checkPreprocessing, decodeSample } from "./data/preprocess.ts";
import type { Dataset, Preprocessing } from "./data/types.ts";
import { HalftoneError } from "./errors.ts";
import { reconstructGram } from "./gram.ts";
import { prepare } from "./graph/prepare.ts";
import type { Graph } from "./graph/types.ts";
import { readModel } from "./onnx/read.ts";
import { writeModel } from "./onnx/write.ts";
import { pixelCodes } from "./quantized/pixels.ts";
import { defaultOptions, type QuantizeOptions } from "./quantized/options.ts";
import type { Quantized, QuantizedWeight } from "./quantized/types.ts";
import { movedBesides } from "./reconstruct/augment.ts";
import { activationsAlone } from "./reconstruct/phases.ts";
import { calibrate } from "./calibrate.ts";
import { correct, equalize } from "./channels.ts";
import { nearestToFloat } from "./choose-ranges.ts";
import { learnedParts, type PartStore } from "./checkpoints.ts";
import { crewOf } from "./crew.ts";
import { spread } from "./data/spread.ts";
import { drawn } from "./draw.ts";
import { encodeGraph } from "./encode.ts";
import type { Histogram } from "./ranges/histogram.ts";
import { chooseMethod } from "./reconstruct/choose.ts";
import type { Method } from "./reconstruct/methods.ts";
import { layerViews } from "./reconstruct/gram/layer.ts";
import { affordablePasses } from "./reconstruct/gram/passes.ts";
import { planOf, workOf } from "./reconstruct/network/budget.ts";
import { type ReconstructOptions, reconstruct, type SampleSource } from "./reconstruct/reconstruct.ts";
import { sha256 } from "./tasks/hash.ts";
import { createMeter } from "./tasks/progress.ts";
import type { WorkOptions } from "./tasks/types.ts";
import { isCoarse, learnWhole } from "./whole.ts";

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
  const { draw = "even" } = chosen;
  const dataset = draw === "even" ? input.dataset : await drawn(input.dataset, chosen.samples, draw, { ...input, seed: chosen.seed }, work);
  const { preprocessing } = input;
  const run = { dataset, samples: chosen.samples, preprocessing, ...work };
  const plain = prepare(readModel(input.model));
  const graph = chosen.equalize ? await equalize(input.model, plain, run) : plain;
  const model = graph === plain ? input.model : writeModel(graph);
  const stored = chosen.residual === "wide" ? pixelCodes(preprocessing, (await dataset.read(0, 1))[0]!.format) : undefined;
  const known = graph === plain && draw === "even" ? work.observe : undefined;
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
  const equalized = { ...input, model, dataset };
  const source = sampleSource(equalized, nearest.graph, samples);
  const { network } = method;
  if (!network) return roundParts(nearest, equalized, chosen, method, source, work);
  const passes = Math.min(nearest.weights.size, affordablePasses(graph, layerViews(graph, nearest.weights), samples));
  // Forward and back, as much work as three passes forward.
  const before = method.gram?.outputs === "fisher" ? 3 : 0;
  const plan = planOf(network.budget, workOf(graph), samples, network.batch, before + passes);
  const rounded = await roundParts(nearest, equalized, { ...chosen, samples: plan.samples }, method, source, work);
  const { floatActivations, seed } = chosen;
  const iterations = network.iterations ?? plan.iterations;
  return learnWhole(rounded, dataset, source, network, { iterations, floatActivations, coarse: isCoarse(chosen) }, { ...work, seed });
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

/**
 * What is left open is chosen: weights that are learned make up for lost channels and shifted means by themselves, but for channels
 * lost to coarse codes when the network is learned as a whole.
 */
function withDefaults(options: QuantizeOptions, method: Method): QuantizeOptions & { equalize: boolean; correct: boolean } {
  const learned = method.gram !== undefined || method.network !== undefined || method.parametrization !== "nearest";
  if (learned && options.correct) {
    const hint = "Learned codes and biases make up for the mean by themselves.";
    throw new HalftoneError("OPTION_INVALID", "--correct", `method ${options.method}`, "a method that learns nothing", hint);
  }
  const plain = !learned && options.weights === 8 && options.activations === 8;
  const stretched = method.network !== undefined && isCoarse(options);
  const { weightRanges = method.weightRange, equalize = plain || stretched, correct = plain } = options;
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
    const { samples, residual, seed } = chosen;
    const { quantized } = await reconstructGram(nearest, input, { ...method.gram, samples, residual, seed }, work);
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
