// A network between calibration and its last settled layer: codes and biases so far, and what its twin computes with.
import { joined } from "../../data/joined.ts";
import type { Tensor } from "../../graph/types.ts";
import { biasCode, biasScale, largestBias } from "../../quantized/bias.ts";
import type { ResidualMode } from "../../quantized/fusions.ts";
import type { Quantized, QuantizedWeight } from "../../quantized/types.ts";
import type { LayerSums } from "./gather.ts";
import { gridOf } from "./grid.ts";
import { fromRows, type LayerView, toRows } from "./layer.ts";
import type { RoundInput, RoundMethod, RoundResult } from "./round.ts";
import type { ActivationSite, TwinOptions } from "./twin.ts";

/** The network while it is settled. */
export class State {
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

  twin(): { options: TwinOptions; numbers: Uint8Array } {
    const parts: Float32Array[] = [];
    let at = 0;
    const put = (values: Float32Array): number => {
      parts.push(values);
      at += values.length;
      return at - values.length;
    };
    const settled = [...this.#settled].map(([node, { weights, bias }]) => ({ node, weights: put(weights), bias: bias && put(bias) }));
    const numbers = joined(parts, Float32Array);
    return { options: { sites: this.#sites, settled }, numbers: new Uint8Array(numbers.buffer) };
  }

  inputOf(
    view: LayerView,
    sums: LayerSums,
    outputWeights: Float64Array | undefined,
    twin: boolean,
    mayShift: boolean,
    method: RoundMethod,
  ): RoundInput {
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
      outputWeights,
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
