// A network's weights rounded from Gram matrices, layer by layer: statistics from streamed samples, codes in closed form.
import type { Dataset, Preprocessing } from "./data/types.ts";
import { HalftoneError } from "./errors.ts";
import type { ResidualMode } from "./quantized/fusions.ts";
import { writeModel } from "./onnx/write.ts";
import { beforeGains, behindGains, preparedBehindGains } from "./quantized/pixels.ts";
import type { Quantized } from "./quantized/types.ts";
import { outputWeights } from "./reconstruct/gram/fisher.ts";
import type { LayerSums } from "./reconstruct/gram/gather.ts";
import { type LayerView, layerViews } from "./reconstruct/gram/layer.ts";
import { affordablePasses, depths, type Pass, passesOf } from "./reconstruct/gram/passes.ts";
import { mergedResult, piecesOf } from "./reconstruct/gram/pieces.ts";
import type { GramMethod, RoundMethod, RoundResult } from "./reconstruct/gram/round.ts";
import type { PartReport } from "./reconstruct/reconstruct.ts";
import { State } from "./reconstruct/gram/state.ts";
import { type GatherRun, gatherFisher, gatherSums } from "./statistics.ts";
import { type PartStore, settledLayers } from "./checkpoints.ts";
import { blobOf, createExecutor, createMeter, type Task, type WorkOptions } from "./tasks/index.ts";

export interface GramData {
  /** The model file that `quantized` was made of. */
  readonly model: Uint8Array;
  readonly dataset: Dataset;
  readonly preprocessing: Preprocessing;
}

/** What `reconstructGram` does beyond its method. */
export interface GramReconstructionOptions extends Partial<GramMethod> {
  /** Passes over the data at most; by default as many as a fixed number of products allows. */
  readonly passes?: number | undefined;
  /** Leave biases as they are. */
  readonly keepBias?: boolean | undefined;
  readonly samples?: number | undefined;
  /** Of what is drawn for output weights. */
  readonly seed?: number | undefined;
  /** How residual sums will be made. */
  readonly residual?: ResidualMode | undefined;
}

/**
 * What became of one layer. Losses are squared output errors beyond that of the best real weights (after the quantized layers before), as
 * shares of the output's power, both in the measure of the output weights: `signal` is 1.
 */
export interface LayerReport extends PartReport {
  /** λ as a share of the mean of the diagonal: more than was asked for where the inputs span too little. */
  readonly damping: number;
  /** ‖W* − W‖ / ‖W‖ of the weights aimed at: above 0.2 there are too few samples. */
  readonly drift: number;
}

export interface GramWork extends WorkOptions {
  /** Called when a layer is settled. */
  readonly onPart?: ((report: LayerReport, layer: number, layers: number) => void) | undefined;
  /** Where a run that was stopped continues, layer by layer. */
  readonly checkpoints?: PartStore | undefined;
}

/** The rounded network and what each of its layers gained. */
export interface GramReconstruction {
  readonly quantized: Quantized;
  readonly layers: readonly LayerReport[];
}

/** GPTQ with columns by falling input power, then coordinate descent. */
const defaultMethod: GramMethod = {
  inputs: "quantized",
  outputs: "identity",
  start: "gptq",
  order: "activation",
  sweeps: 20,
  damping: 0.01,
  iterations: 800,
  rate: 3e-2,
  lambda: 0.01,
};
const defaultSamples = 512;

/**
 * Chooses the weights' codes anew and, where a layer has a constant bias, its int32 codes with them. Scales and activations stay.
 * Layers without the form of a matrix (transposed convolutions) keep their codes. The result does not depend on the number of workers.
 *
 * @throws HalftoneError OPTION_INVALID, NOT_FINITE, and those of data, model and engine; CANCELLED
 */
export async function reconstructGram(
  quantized: Quantized,
  data: GramData,
  options: GramReconstructionOptions = {},
  work: GramWork = {},
): Promise<GramReconstruction> {
  const { pixels } = quantized;
  if (!pixels) return reconstructLayers(quantized, data, options, work);
  const behind = behindGains(quantized, pixels);
  const model = behind.graph === quantized.graph ? data.model : writeModel(behind.graph);
  const moved = { ...data, model, preprocessing: preparedBehindGains(data.preprocessing) };
  const done = await reconstructLayers(behind, moved, options, work);
  return { ...done, quantized: beforeGains(quantized, pixels, behind, done.quantized) };
}

async function reconstructLayers(
  quantized: Quantized,
  data: GramData,
  options: GramReconstructionOptions,
  work: GramWork,
): Promise<GramReconstruction> {
  const { graph } = quantized;
  const { inputs = defaultMethod.inputs, outputs = defaultMethod.outputs, seed = 0 } = options;
  const { samples = defaultSamples, keepBias = false, residual = "wide" } = options;
  const method: RoundMethod = {
    start: options.start ?? defaultMethod.start,
    order: options.order ?? defaultMethod.order,
    sweeps: options.sweeps ?? defaultMethod.sweeps,
    damping: options.damping ?? defaultMethod.damping,
    iterations: options.iterations ?? defaultMethod.iterations,
    rate: options.rate ?? defaultMethod.rate,
    lambda: options.lambda ?? defaultMethod.lambda,
  };
  if (options.passes !== undefined && !(Number.isInteger(options.passes) && options.passes > 0))
    throw new HalftoneError("OPTION_INVALID", "passes", String(options.passes), "a whole number, 1 or more");
  if (outputs !== "identity" && outputs !== "fisher")
    throw new HalftoneError("OPTION_INVALID", "outputs", JSON.stringify(outputs), "identity or fisher");
  const views = layerViews(graph, quantized.weights);
  const layers = depths(graph, views);
  const total = Math.min(samples, data.dataset.length);
  const passes = passesOf(layers, inputs === "float" ? 1 : (options.passes ?? affordablePasses(graph, views, total)));
  // Where outputs have weights, they take a pass before the others.
  const first = outputs === "fisher" ? 1 : 0;
  const report = createMeter("reconstruct", (first + passes.length) * total, work.onProgress);
  const executor = work.executor ?? (await createExecutor({ workers: 0 }));
  const state = new State(quantized, residual);
  const reports: LayerReport[] = [];
  const settled = settledLayers<RoundResult>(work.checkpoints);
  try {
    const model = await blobOf(data.model);
    const run = (pass: number): GatherRun => {
      const onSamples = (done: number): void => report(pass * total + done);
      return { ...data, model, samples, executor, signal: work.signal, onSamples };
    };
    let weighted: ReadonlyMap<string, Float64Array | undefined> | undefined;
    for (const [p, pass] of passes.entries()) {
      const before = reports.length;
      const results = await Promise.all(pass.layers.map((_, i) => settled.load(before + i)));
      /** Layers in their order, as far as there are results. */
      const settle = (): void => {
        for (let i = reports.length - before; results[i]; i++) {
          const view = pass.layers[i]!;
          state.settle(view, results[i]!, !keepBias);
          const layer = reportOf(view, results[i]!);
          work.onPart?.(layer, reports.length, views.length);
          reports.push(layer);
        }
      };
      const missing = pass.layers.flatMap((_, i) => (results[i] ? [] : [i]));
      if (missing.length === 0) {
        settle();
        continue;
      }
      weighted ??= outputs === "fisher" ? await fisherWeights(run(0), views, seed) : new Map();
      const weightsOf = weighted;
      const sums = await gatherSums(run(first + p), pass.layers, inputs === "float" ? undefined : state.twin());
      const saved: Promise<void>[] = [];
      /** Of the layer at hand: results come in order. */
      let pieces: RoundResult[] = [];
      const tasks: { readonly layer: number; readonly last: boolean }[] = [];
      await executor.run<RoundResult>(
        (function* (): Generator<Task> {
          for (const i of missing) {
            const view = pass.layers[i]!;
            const { name } = view.node;
            const seen = aimed(pass, view, sums.get(name)!);
            const rows = piecesOf(state.inputOf(view, seen, weightsOf.get(name), inputs === "quantized", !keepBias, method));
            for (const [k, payload] of rows.entries()) {
              tasks.push({ layer: i, last: k === rows.length - 1 });
              yield { kind: "gramRound", options: {}, shared: [], payload, label: `rounding of '${name}'` };
            }
          }
        })(),
        (result, k) => {
          pieces.push(result);
          const { layer, last } = tasks[k]!;
          if (!last) return;
          results[layer] = mergedResult(pieces);
          pieces = [];
          saved.push(settled.save(before + layer, results[layer]));
          settle();
        },
        { signal: work.signal },
      );
      await Promise.all(saved);
    }
  } finally {
    if (!work.executor) await executor.close();
  }
  const result = state.result();
  return { quantized: { ...result, provenance: { ...result.provenance, parts: reports } }, layers: reports };
}

/** S of the layers that have several outputs in a group: one alone has nothing to be weighed against. */
async function fisherWeights(run: GatherRun, views: readonly LayerView[], seed: number): Promise<Map<string, Float64Array | undefined>> {
  const several = views.filter(({ rows }) => rows > 1);
  const sums = await gatherFisher(run, several, seed);
  return new Map(several.map((view) => [view.node.name, outputWeights(view, sums.get(view.node.name)!)]));
}

/** The sums with what a layer aims at left out, where that is its own output for the same inputs. */
const aimed = (pass: Pass, view: LayerView, sums: LayerSums): LayerSums => (pass.first.has(view) ? sums : { inputs: sums.inputs });

function reportOf({ node, groups, rows, columns }: LayerView, { before, after, moved, damping, drift }: RoundResult): LayerReport {
  return {
    name: node.name,
    weights: [node.name],
    lossBefore: before,
    lossAfter: after,
    signal: 1,
    elements: groups * rows * columns,
    moved,
    undecided: 0,
    damping,
    drift,
  };
}
