// The learned numbers of a network between its steps: real positions on each weight's grid, scales, biases and step sizes, each under Adam.
// What the network is run with is always the deployable value, rounding passed straight through: nothing is left to harden.
// Source: Esser et al. 2020, "Learned Step Size Quantization"; codes and scales are apart here: a scale's gradient holds the codes.
import { outputAxis } from "../../quantized/fusions.ts";
import type { Encoding } from "../../formats/encoding.ts";
import { roundHalfEven } from "../../formats/rounding.ts";
import type { GraphNode } from "../../graph/types.ts";
import { biasScale, largestBias } from "../../quantized/bias.ts";
import type { Quantized, QuantizedWeight } from "../../quantized/types.ts";
import { fromRows, gridOf, hardenedWeight, type RowOrder, rowOrder, toRows } from "../grid.ts";
import type { Rates } from "../methods.ts";
import { Moments, optimizers } from "../optimizers.ts";
import type { WeightGrid } from "../parametrizations/types.ts";
import type { NumbersLayout, Slot } from "./numbers.ts";

/** How far from its code a position starts at most: the first pass has the codes that were given, and the first steps keep most of them. */
const mostOffset = 0.25;

interface WeightState {
  readonly slot: Slot;
  readonly node: GraphNode;
  readonly grid: WeightGrid;
  readonly order: RowOrder;
  /** Positions on the grid, zero point taken off. */
  readonly positions: Float32Array;
  readonly scales: Float32Array;
  readonly gradient: Float32Array;
  readonly byScale: Float64Array;
  readonly moments: Moments;
  readonly scaleMoments: Moments;
}

interface BiasState {
  readonly slot: Slot;
  readonly node: GraphNode;
  readonly values: Float64Array;
  /** What a step counts in: the root mean square of the layer's biases. */
  readonly unit: number;
  readonly moments: Moments;
}

/** A learner between two steps, as plain data. */
export interface LearnerState {
  readonly updates: number;
  readonly arrays: readonly (Float32Array | Float64Array)[];
}

export class Learner {
  readonly #quantized: Quantized;
  readonly #weights: readonly WeightState[];
  readonly #biases: readonly BiasState[];
  readonly #steps: ReadonlyMap<string, { readonly slot: Slot; readonly value: Float64Array; readonly moments: Moments }>;
  readonly #groups: ReadonlyMap<string, string>;
  readonly #learned: ReadonlySet<string>;
  #updates = 0;

  /** @param learned groups whose step size is learned; the others stay */
  constructor(quantized: Quantized, layout: NumbersLayout, learned: ReadonlySet<string>) {
    this.#quantized = quantized;
    this.#learned = learned;
    this.#groups = new Map(quantized.sites.map(({ value, group }) => [value, group]));
    const { graph } = quantized;
    const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
    const of = (kind: Slot["kind"]): Slot[] => layout.slots.filter((slot) => slot.kind === kind);
    this.#weights = of("weight").map((slot) => weightState(slot, nodes.get(slot.name)!, quantized));
    const scaleOf = new Map(quantized.activations);
    this.#steps = new Map(
      of("step").map((slot) => [slot.name, { slot, value: Float64Array.of(scaleOf.get(slot.name)!.scale[0]!), moments: new Moments(1) }]),
    );
    this.#biases = of("bias").map((slot): BiasState => {
      const node = nodes.get(slot.name)!;
      const real = graph.constants.get(slot.constant)!.data as Float32Array;
      const codes = quantized.biases?.get(node.name);
      const scales = this.#biasScales(node);
      const values = Float64Array.from(real, (b, o) => (codes ? codes[o]! * scales(o) : b));
      const square = values.reduce((sum, b) => sum + b * b, 0) / Math.max(1, values.length);
      return { slot, node, values, unit: square > 0 ? Math.sqrt(square) : 1, moments: new Moments(values.length) };
    });
  }

  /** The numbers of the next pass. */
  write(numbers: Float32Array): void {
    for (const { slot, grid, order, positions, scales } of this.#weights) {
      const { rows, columns, low, high } = grid;
      const out = order.outer === 1 ? numbers.subarray(slot.offset, slot.offset + slot.length) : new Float32Array(slot.length);
      for (let r = 0, i = 0; r < rows; r++) {
        const [s, lo, hi] = [scales[r]!, low[r]!, high[r]!];
        for (const end = i + columns; i < end; i++) out[i] = s * Math.min(hi, Math.max(lo, roundHalfEven(positions[i]!)));
      }
      if (order.outer > 1) numbers.set(fromRows(out, order), slot.offset);
    }
    for (const { slot, value } of this.#steps.values()) numbers[slot.offset] = value[0]!;
    for (const { slot, node, values } of this.#biases) {
      const scales = this.#biasScales(node);
      for (let o = 0; o < slot.length; o++) numbers[slot.offset + o] = codeOf(values[o]!, scales(o)) * scales(o);
    }
  }

  /** One step of Adam, given ∂L/∂ of what `write` wrote. @param course share of the learning rates */
  step(gradients: Float32Array, rates: Rates, course: number): void {
    const count = ++this.#updates;
    const numbers = (rate: number) => optimizers.adam(rate * course, count);
    const byCode = numbers(rates.codes);
    for (const state of this.#weights) {
      const { slot, grid, order, positions, scales, gradient, byScale } = state;
      const raw = gradients.subarray(slot.offset, slot.offset + slot.length);
      const g = order.outer === 1 ? raw : toRows(raw, order);
      const { rows, columns, low, high, perTensor } = grid;
      byScale.fill(0);
      for (let r = 0, i = 0; r < rows; r++) {
        const [s, lo, hi] = [scales[r]!, low[r]!, high[r]!];
        let sum = 0;
        for (const end = i + columns; i < end; i++) {
          const rounded = roundHalfEven(positions[i]!);
          const level = Math.min(hi, Math.max(lo, rounded));
          sum += g[i]! * level;
          gradient[i] = level === rounded ? g[i]! * s : 0;
        }
        byScale[perTensor ? 0 : r]! += sum * s;
      }
      state.moments.step(positions, gradient, byCode);
      const shares = new Float64Array(byScale.length);
      state.scaleMoments.step(shares, byScale, numbers(rates.scales));
      for (let r = 0; r < rows; r++) scales[r] = scales[r]! * (1 + shares[perTensor ? 0 : r]!);
    }
    for (const [group, step] of this.#steps) {
      if (!this.#learned.has(group)) continue;
      const share = new Float64Array(1);
      step.moments.step(share, [gradients[step.slot.offset]! * step.value[0]!], numbers(rates.steps));
      step.value[0] = Math.fround(step.value[0]! * (1 + share[0]!));
    }
    for (const { slot, values, unit, moments } of this.#biases) {
      moments.step(values, gradients.subarray(slot.offset, slot.offset + slot.length), numbers(rates.biases * unit));
    }
  }

  /** Everything that steps change, without copies. */
  get state(): LearnerState {
    const of = ({ mean, square }: Moments): Float64Array[] => [mean, square];
    const arrays = [
      ...this.#weights.flatMap(({ positions, scales, moments, scaleMoments }) => [positions, scales, ...of(moments), ...of(scaleMoments)]),
      ...this.#biases.flatMap(({ values, moments }) => [values, ...of(moments)]),
      ...[...this.#steps.values()].flatMap(({ value, moments }) => [value, ...of(moments)]),
    ];
    return { updates: this.#updates, arrays };
  }

  /** Continues from the state of a learner of the same network. */
  restore({ updates, arrays }: LearnerState): void {
    this.#updates = updates;
    for (const [i, array] of this.state.arrays.entries()) array.set(arrays[i]!);
  }

  result(): Quantized {
    const weights = new Map(this.#quantized.weights);
    for (const { node, grid, positions, scales } of this.#weights) {
      const { rows, columns, low, high, zero } = grid;
      const codes = new Int8Array(positions.length);
      for (let r = 0, i = 0; r < rows; r++) {
        for (const end = i + columns; i < end; i++) {
          codes[i] = Math.min(high[r]!, Math.max(low[r]!, roundHalfEven(positions[i]!))) + zero[r]!;
        }
      }
      weights.set(node.name, hardenedWeight(node, weights.get(node.name)!, { codes, scale: scales }));
    }
    const biases = new Map(this.#quantized.biases);
    for (const { node, values } of this.#biases) {
      const scales = this.#biasScales(node);
      biases.set(
        node.name,
        Int32Array.from(values, (b, o) => codeOf(b, scales(o))),
      );
    }
    const activations = new Map<string, Encoding>(
      [...this.#quantized.activations].map(([value, encoding]) => {
        const step = this.#steps.get(this.#groups.get(value) ?? "");
        return [value, step ? { ...encoding, scale: Float32Array.from(step.value) } : encoding];
      }),
    );
    return { ...this.#quantized, weights, biases, activations };
  }

  /** Of each output of a node: the scale of its bias, as things stand. */
  #biasScales(node: GraphNode): (o: number) => number {
    const input = node.inputs[0]!;
    const step = this.#steps.get(this.#groups.get(input) ?? "")?.value[0] ?? this.#quantized.activations.get(input)!.scale[0]!;
    const scales = this.#weights.find((state) => state.node === node)!.scales;
    return (o) => biasScale(step, scales[o]!);
  }
}

function weightState(slot: Slot, node: GraphNode, { graph, weights }: Quantized): WeightState {
  const weight = weights.get(node.name) as QuantizedWeight;
  const grid = gridOf(node, weight, graph.constants.get(node.inputs[1]!)!.data as Float32Array);
  const order = rowOrder(weight.dims, outputAxis(node));
  const codes = toRows(weight.codes, order);
  const positions = Float32Array.from(grid.values, (w, i) => {
    const r = Math.floor(i / grid.columns);
    const code = codes[i]! - grid.zero[r]!;
    return code + Math.min(mostOffset, Math.max(-mostOffset, w / grid.scale[r]! - code));
  });
  return {
    slot,
    node,
    grid,
    order,
    positions,
    scales: grid.scale.slice(),
    gradient: new Float32Array(slot.length),
    byScale: new Float64Array(grid.perTensor ? 1 : grid.rows),
    moments: new Moments(slot.length),
    scaleMoments: new Moments(grid.perTensor ? 1 : grid.rows),
  };
}

/** A bias beyond 31 bits stays at their end. */
const codeOf = (bias: number, scale: number): number => Math.min(largestBias, Math.max(-largestBias, roundHalfEven(bias / scale)));
