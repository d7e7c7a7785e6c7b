// A network's weights rounded from Gram matrices, layer by layer.
import type { Dataset, Preprocessing } from "../../data/types.ts";
import { HalftoneError } from "../../errors.ts";
import type { Tensor } from "../../graph/types.ts";
import { biasCode, biasScale, largestBias } from "../../quantized/bias.ts";
import type { ResidualMode } from "../../quantized/fusions.ts";
import type { Quantized, QuantizedWeight } from "../../quantized/types.ts";
import { blobOf, createExecutor, createMeter, type Task, type WorkOptions } from "../../tasks/index.ts";
import type { ActivationSite, TwinOptions } from "../../tasks/kinds/gram.ts";
import type { LayerSums } from "./gather.ts";
import { gridOf } from "./grid.ts";
import { fromRows, type LayerView, layerView, toRows } from "./layer.ts";
import { affordablePasses, depths, passesOf } from "./passes.ts";
import type { RoundInput, RoundMethod, RoundResult } from "./round.ts";
import { type GatherRun, gatherSums } from "./statistics.ts";

export interface GramData {
  /** The model file that `quantized` was made of. */
  readonly model: Uint8Array;
  readonly dataset: Dataset;
  readonly preprocessing: Preprocessing;
}

export interface GramReconstructionOptions extends Partial<RoundMethod> {
  /**
   * float: every layer as the float network feeds it; one pass over the data.
   * quantized: as the quantized network feeds it once everything before is settled; one pass for each depth, or `passes`.
   */
  readonly inputs?: "float" | "quantized" | undefined;
  /** Passes over the data at most; by default as many as a fixed number of products allows. */
  readonly passes?: number | undefined;
  /** Leave biases as they are. */
  readonly keepBias?: boolean | undefined;
  readonly samples?: number | undefined;
  /** How residual sums will be made. */
  readonly residual?: ResidualMode | undefined;
}

/** What became of one layer. */
export interface LayerReport {
  readonly node: string;
  /** Squared output error beyond that of the best real weights, over the output's power: nearest codes, and those chosen. */
  readonly errorBefore: number;
  readonly errorAfter: number;
  /** Share of codes that are not the nearest ones. */
  readonly moved: number;
  readonly damping: number;
  readonly drift: number;
}

export interface GramReconstruction {
  readonly quantized: Quantized;
  readonly layers: readonly LayerReport[];
}

/** GPTQ with columns by falling input power, then coordinate descent. */
const defaultMethod: RoundMethod = { start: "gptq", order: "activation", sweeps: 20, damping: 0.01 };
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
  work: WorkOptions = {},
): Promise<GramReconstruction> {
  const { graph } = quantized;
  const { inputs = "quantized", samples = defaultSamples, keepBias = false, residual = "wide" } = options;
  const method: RoundMethod = {
    start: options.start ?? defaultMethod.start,
    order: options.order ?? defaultMethod.order,
    sweeps: options.sweeps ?? defaultMethod.sweeps,
    damping: options.damping ?? defaultMethod.damping,
  };
  if (options.passes !== undefined && !(Number.isInteger(options.passes) && options.passes > 0))
    throw new HalftoneError("OPTION_INVALID", "passes", String(options.passes), "a whole number, 1 or more");
  const views = graph.nodes.flatMap((node) => {
    const view = quantized.weights.has(node.name) ? layerView(graph, node) : undefined;
    return view ? [view] : [];
  });
  const layers = depths(graph, views);
  const total = Math.min(samples, data.dataset.length);
  const passes = inputs === "float" ? [layers.flat()] : passesOf(layers, options.passes ?? affordablePasses(graph, views, total));
  const report = createMeter("reconstruct", passes.length * total, work.onProgress);
  const executor = work.executor ?? (await createExecutor({ workers: 0 }));
  const state = new State(quantized, residual);
  const reports: LayerReport[] = [];
  try {
    const model = await blobOf(data.model);
    for (const [p, pass] of passes.entries()) {
      const run: GatherRun = { ...data, model, samples, executor, signal: work.signal, onSamples: (done) => report(p * total + done) };
      const sums = await gatherSums(run, pass, inputs === "float" ? undefined : await state.twin());
      await executor.run<RoundResult>(
        (function* (): Generator<Task> {
          for (const view of pass) {
            const payload = state.inputOf(view, sums.get(view.node.name)!, inputs === "quantized", !keepBias, method);
            yield { kind: "gramRound", options: {}, shared: [], payload, label: `rounding of '${view.node.name}'` };
          }
        })(),
        (result, i) => {
          const view = pass[i]!;
          state.settle(view, result, !keepBias);
          reports.push(reportOf(view, result));
        },
        { signal: work.signal },
      );
    }
  } finally {
    if (!work.executor) await executor.close();
  }
  return { quantized: state.result(), layers: reports };
}

function reportOf({ node, groups, rows, columns }: LayerView, { before, after, moved, damping, drift }: RoundResult): LayerReport {
  return { node: node.name, errorBefore: before, errorAfter: after, moved: moved / (groups * rows * columns), damping, drift };
}

/** The network while it is settled. */
class State {
  readonly #quantized: Quantized;
  readonly #weights: Map<string, QuantizedWeight>;
  readonly #biases: Map<string, Int32Array>;
  readonly #sites: readonly ActivationSite[];
  /** Reals of the settled layers, as the twin computes with them. */
  readonly #settled: Map<string, { readonly weights: Float32Array; readonly bias?: Float32Array | undefined }> = new Map();

  constructor(quantized: Quantized, residual: ResidualMode) {
    this.#quantized = quantized;
    this.#weights = new Map(quantized.weights);
    this.#biases = new Map(quantized.biases);
    this.#sites = quantized.sites.flatMap(({ value, branch }): ActivationSite[] => {
      const encoding = quantized.activations.get(value);
      if (!encoding || (branch && residual === "wide") || encoding.levels.kind !== "linear") return [];
      const { lo, hi } = encoding.levels;
      return [{ value, step: encoding.scale[0]!, zero: encoding.zeroPoint[0]!, lo, hi }];
    });
  }

  async twin(): Promise<{ options: TwinOptions; numbers: { hash: string; bytes: Uint8Array } }> {
    const parts: Float32Array[] = [];
    let at = 0;
    const put = (values: Float32Array): number => {
      parts.push(values);
      at += values.length;
      return at - values.length;
    };
    const settled = [...this.#settled].map(([node, { weights, bias }]) => ({ node, weights: put(weights), bias: bias && put(bias) }));
    const numbers = new Float32Array(at);
    let to = 0;
    for (const part of parts) {
      numbers.set(part, to);
      to += part.length;
    }
    return { options: { sites: this.#sites, settled }, numbers: await blobOf(new Uint8Array(numbers.buffer)) };
  }

  inputOf(view: LayerView, sums: LayerSums, twin: boolean, mayShift: boolean, method: RoundMethod): RoundInput {
    const { node, groups, rows, columns, depthwise } = view;
    const { graph, activations } = this.#quantized;
    const { encoding } = this.#weights.get(node.name)!;
    const site = twin && this.#sites.some(({ value }) => value === view.input) ? activations.get(view.input) : undefined;
    const tensor = graph.constants.get(node.inputs[1]!) as Tensor;
    const bias = view.bias === undefined ? undefined : (graph.constants.get(view.bias)!.data as Float32Array);
    return {
      weights: toRows(view, tensor.data as Float32Array),
      groups,
      rows,
      columns,
      depthwise,
      grid: gridOf(encoding, 0, groups * rows),
      sums,
      unit: site?.scale[0] ?? 1,
      bias: Float64Array.from({ length: groups * rows }, (_, o) => bias?.[o] ?? 0),
      free: mayShift && bias !== undefined && activations.has(view.input),
      method,
    };
  }

  settle(view: LayerView, { levels, bias }: RoundResult, mayShift: boolean): void {
    const { node } = view;
    const before = this.#weights.get(node.name)!;
    const { encoding } = before;
    const table = encoding.levels.kind === "table" ? [...encoding.levels.levels] : undefined;
    const codes = fromRows(view, table ? levels.map((level) => table.indexOf(level)) : levels, new Int8Array(before.codes.length));
    this.#weights.set(node.name, { ...before, codes });
    const columns = view.columns;
    const scaleOf = (o: number): number => encoding.scale[encoding.scale.length === 1 ? 0 : o]!;
    const zeroOf = (o: number): number => encoding.zeroPoint[encoding.zeroPoint.length === 1 ? 0 : o]!;
    const reals = Float32Array.from(levels, (level, i) => {
      const o = Math.floor(i / columns);
      return (level - zeroOf(o)) * scaleOf(o);
    });
    this.#settled.set(node.name, {
      weights: fromRows(view, reals, new Float32Array(codes.length)),
      bias: mayShift && view.bias !== undefined ? this.#newBias(view, bias, scaleOf) : undefined,
    });
  }

  /** The bias's new int32 codes, and the reals they stand for. A channel whose bias would leave its range keeps the old one. */
  #newBias(view: LayerView, bias: Float64Array, scaleOf: (o: number) => number): Float32Array | undefined {
    const { graph, activations } = this.#quantized;
    const step = activations.get(view.input)?.scale[0];
    if (step === undefined) return undefined;
    const old = graph.constants.get(view.bias!)!.data as Float32Array;
    const codes = Int32Array.from(old, (b, o) => {
      const moved = biasCode(bias[o]!, step, scaleOf(o));
      return Math.abs(moved) <= largestBias ? moved : biasCode(b, step, scaleOf(o));
    });
    this.#biases.set(view.node.name, codes);
    return Float32Array.from(codes, (code, o) => code * biasScale(step, scaleOf(o)));
  }

  result(): Quantized {
    return { ...this.#quantized, weights: this.#weights, biases: this.#biases };
  }
}
