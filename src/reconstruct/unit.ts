// A part of the network under a microscope: its weights in the caller's hands, its activations behind fake quantizers.
import { createDifferentiable } from "../engine/reverse.ts";
import type { DeviceTensor, Differentiable, DifferentiableOptions, Layout, PassOptions } from "../engine/types.ts";
import { assert } from "../errors.ts";
import type { Encoding } from "../formats/encoding.ts";
import { areKnown } from "../graph/dims.ts";
import { factOfConstant } from "../graph/infer.ts";
import { subgraph } from "../graph/subgraph.ts";
import type { Dim, Graph, GraphNode, Tensor } from "../graph/types.ts";
import { fakeQuantize, fakeQuantizeForward, fakeQuantizeGradient, fakeQuantizeOp, quantizeAll } from "../ops/fake-quantize.ts";
import { forwardKernels } from "../ops/forward.ts";
import { gradientKernels } from "../ops/gradient.ts";
import { operators } from "../ops/registry.ts";
import { convertLayout, sameInBothLayouts } from "../ops/strided.ts";
import { isWeighted, outputAxis } from "../quantized/fusions.ts";
import { type RowOrder, rowOrder } from "./grid.ts";
import type { Home } from "./parametrizations/types.ts";
import type { Stream } from "./random.ts";
import type { Part } from "./scopes.ts";

/** A quantizer behind a value. Those of one group share a scale. */
export interface Quantizer {
  readonly value: string;
  readonly group: string;
  readonly encoding: Encoding;
}

/** A node with weights: rows of one scale, wherever the tensor has them. */
export interface WeightSlot {
  readonly node: GraphNode;
  readonly order: RowOrder;
  readonly elements: number;
  /** Tensor order, in linear memory: what the next pass reads, and ∂L/∂Ŵ of the last. */
  readonly variable: DeviceTensor;
  readonly gradient: number;
}

/** Some floats in linear memory. */
interface Piece {
  readonly ptr: number;
  readonly elements: number;
}

const own = <Row>(rows: ReadonlyMap<string, Row>, row: Row): ReadonlyMap<string, Row> => new Map([...rows, [fakeQuantizeOp, row]]);

/** The house's tables with fake quantizers in them. */
export const tables: Required<Pick<DifferentiableOptions, "operators" | "forward" | "gradients">> = {
  operators: own(operators, fakeQuantize),
  forward: own(forwardKernels, fakeQuantizeForward),
  gradients: own(gradientKernels, fakeQuantizeGradient),
};

/** Constants of an instrumented graph: a node's weights, a group's step size, a quantizer's control word. */
export const weightName = (node: string): string => `${node}~weights`;
export const scaleName = (group: string): string => `${group}~scale`;
export const controlName = (value: string): string => `${value}~control`;

/** The part as a graph of its own: each weight a constant of its own, a fake quantizer behind each quantized value. */
export function instrument(graph: Graph, part: Part, quantizers: readonly Quantizer[]): Graph {
  const sub = subgraph(graph, part.inputs, part.outputs);
  const byValue = new Map(quantizers.map((quantizer) => [quantizer.value, quantizer]));
  const constants = new Map(sub.constants);
  const facts = new Map(sub.facts);
  const add = (name: string, tensor: Tensor): void => {
    constants.set(name, tensor);
    facts.set(name, factOfConstant(tensor));
  };
  const nodes = sub.nodes.flatMap((node): GraphNode[] => {
    const inputs = [...node.inputs];
    if (isWeighted(graph, node)) {
      add(weightName(node.name), constants.get(inputs[1]!)!);
      inputs[1] = weightName(node.name);
    }
    const behind: GraphNode[] = [];
    const outputs = node.outputs.map((value) => {
      const quantizer = byValue.get(value);
      if (!quantizer) return value;
      const { encoding, group } = quantizer;
      const { levels, zeroPoint, scale } = encoding;
      assert(levels.kind === "linear", "activations are linear");
      const raw = `${value}~raw`;
      facts.set(raw, facts.get(value)!);
      add(scaleName(group), { dtype: "float32", dims: [1], data: scale.slice(0, 1) });
      add(controlName(value), { dtype: "float32", dims: [4], data: new Float32Array(quantizeAll.buffer.slice(0)) });
      behind.push({
        name: `${value}~quantizer`,
        op: fakeQuantizeOp,
        inputs: [raw, scaleName(group), controlName(value)],
        outputs: [value],
        attributes: { low: levels.lo - zeroPoint[0]!, high: levels.hi - zeroPoint[0]! },
      });
      return raw;
    });
    return [{ ...node, inputs, outputs }, ...behind];
  });
  return { ...sub, nodes, constants, facts };
}

/** One part of a graph in an engine of its own. */
export class Unit implements Home {
  readonly part: Part;
  readonly engine: Differentiable;
  readonly weights: readonly WeightSlot[];
  readonly quantizers: readonly Quantizer[];
  /** Groups whose scale is learned here, with the place of its gradient. */
  readonly scales: ReadonlyMap<string, DeviceTensor>;
  readonly #sums: Map<string, DeviceTensor> = new Map();
  readonly #parameters: readonly Piece[];
  readonly #gradients: readonly Piece[];
  /** Where another unit's gradients lie while they are added. */
  #room: number | undefined;

  private constructor(
    part: Part,
    engine: Differentiable,
    nodes: readonly GraphNode[],
    quantizers: readonly Quantizer[],
    learned: readonly string[],
  ) {
    this.part = part;
    this.engine = engine;
    this.quantizers = quantizers;
    this.weights = nodes.map((node) => {
      const variable = engine.variable(weightName(node.name));
      const elements = variable.dims.reduce((p, d) => p * d, 1);
      const gradient = engine.allocate(elements * 4);
      this.#sums.set(weightName(node.name), { ...variable, ptr: gradient });
      return { node, order: rowOrder(variable.dims, outputAxis(node)), elements, variable, gradient };
    });
    this.scales = new Map(learned.map((group) => [group, { dims: [1], layout: "row-major", ptr: engine.allocate(16) }]));
    for (const [group, sum] of this.scales) this.#sums.set(scaleName(group), sum);
    const groups = [...new Set(quantizers.map(({ group }) => group))];
    this.#parameters = [
      ...this.weights.map(({ variable: { ptr }, elements }) => ({ ptr, elements })),
      ...groups.map((group) => ({ ptr: engine.variable(scaleName(group)).ptr, elements: 1 })),
    ];
    this.#gradients = [
      ...this.weights.map(({ gradient: ptr, elements }) => ({ ptr, elements })),
      ...[...this.scales.values()].map(({ ptr }) => ({ ptr, elements: 1 })),
    ];
  }

  /**
   * @param weighted nodes of the part whose weights the caller writes
   * @param learned  groups whose scale gets a gradient
   */
  static async open(
    graph: Graph,
    part: Part,
    weighted: readonly GraphNode[],
    quantizers: readonly Quantizer[],
    learned: readonly string[],
    module?: WebAssembly.Module,
  ): Promise<Unit> {
    const groups = [...new Set(quantizers.map(({ group }) => group))];
    const engine = await createDifferentiable(instrument(graph, part, quantizers), {
      module,
      parameters: [...weighted.map(({ name }) => weightName(name)), ...learned.map(scaleName)],
      variables: [...groups.map(scaleName), ...quantizers.map(({ value }) => controlName(value))],
      ...tables,
    });
    return new Unit(part, engine, weighted, quantizers, learned);
  }

  get kernels(): Differentiable["kernels"] {
    return this.engine.kernels;
  }

  get f32(): Float32Array {
    return new Float32Array(this.engine.memory.buffer);
  }

  allocate(bytes: number): number {
    return this.engine.allocate(bytes);
  }

  release(ptr: number): void {
    this.engine.release(ptr);
  }

  /** Moves weights between the tensor and its rows; `columns` change places only where output channels are not the first axis. */
  rowsFrom(tensor: number, rows: number, { rows: r, outer, inner }: RowOrder): void {
    this.kernels.copy4(rows, tensor, 1, r, outer, inner, 0, inner, r * inner, 1, 0, outer * inner, inner, 1);
  }

  rowsTo(tensor: number, rows: number, { rows: r, outer, inner }: RowOrder): void {
    this.kernels.copy4(tensor, rows, 1, r, outer, inner, 0, outer * inner, inner, 1, 0, inner, r * inner, 1);
  }

  /** The tensor in a layout: itself, or converted into memory that `place` gives. */
  inLayout(tensor: DeviceTensor, layout: Layout, place: () => number): DeviceTensor {
    if (tensor.layout === layout || sameInBothLayouts(tensor.dims)) return { ...tensor, layout };
    const ptr = place();
    convertLayout(this.kernels, ptr, tensor, layout);
    return { ...tensor, layout, ptr };
  }

  writeScale(group: string, scale: number): void {
    this.f32[this.engine.variable(scaleName(group)).ptr / 4] = scale;
  }

  /** In the next pass a quantizer works on those elements alone whose random word is at most `limit`. */
  writeControl(value: string, limit: number, { k0, k1 }: Stream): void {
    this.#control(value).set([limit, k0, k1, 0]);
  }

  #control(value: string): Uint32Array {
    return new Uint32Array(this.engine.memory.buffer, this.engine.variable(controlName(value)).ptr, 4);
  }

  /** Elements of one sample of a value, or 0 where the graph leaves a size open. */
  elementsOf(value: string): number {
    const dims: readonly Dim[] = this.engine.graph.facts.get(value)?.dims?.slice(1) ?? ["unknown"];
    return areKnown(dims) ? (dims as readonly number[]).reduce((product, dim) => product * dim, 1) : 0;
  }

  /** Elements a sample of the largest value. */
  get largest(): number {
    return this.part.nodes.flatMap(({ outputs }) => outputs).reduce((most, name) => Math.max(most, this.elementsOf(name)), 0);
  }

  /** Every element of every activation quantized. */
  quantizeAll(): void {
    for (const { value } of this.quantizers) this.#control(value).set(quantizeAll);
  }

  forward(feeds: ReadonlyMap<string, DeviceTensor>, options?: PassOptions): Map<string, DeviceTensor> {
    return this.engine.forward(feeds, options);
  }

  /** Sums of gradients begin anew. */
  clearGradients(): void {
    for (const { gradient, elements } of this.weights) this.kernels.fill(gradient, 0, elements);
    for (const { ptr } of this.scales.values()) this.kernels.fill(ptr, 0, 1);
  }

  /** Floats that `readParameters` writes: all weights, then the step size of each group of quantizers. */
  get parameterCount(): number {
    return this.#lengthOf(this.#parameters);
  }

  /** Floats that `readGradients` writes: ∂L/∂Ŵ of all weights, then ∂L/∂s of the learned groups. */
  get gradientCount(): number {
    return this.#lengthOf(this.#gradients);
  }

  readParameters(to: Float32Array): void {
    this.#copyOut(this.#parameters, to);
  }

  writeParameters(from: Float32Array): void {
    let at = 0;
    for (const { ptr, elements } of this.#parameters) {
      this.f32.set(from.subarray(at, at + elements), ptr / 4);
      at += elements;
    }
  }

  readGradients(to: Float32Array): void {
    this.#copyOut(this.#gradients, to);
  }

  /** Adds gradients of another unit of the same part. */
  addGradients(from: Float32Array): void {
    this.#room ??= this.allocate(from.length * 4);
    this.f32.set(from, this.#room / 4);
    let at = this.#room;
    for (const { ptr, elements } of this.#gradients) {
      this.kernels.accumulate(ptr, at, elements);
      at += elements * 4;
    }
  }

  #lengthOf(pieces: readonly Piece[]): number {
    return pieces.reduce((sum, { elements }) => sum + elements, 0);
  }

  #copyOut(pieces: readonly Piece[], to: Float32Array): void {
    let at = 0;
    for (const { ptr, elements } of pieces) {
      to.set(this.f32.subarray(ptr / 4, ptr / 4 + elements), at);
      at += elements;
    }
  }

  /** Adds ∂L/∂Ŵ to the slots and ∂L/∂s to `scales`. */
  backward(gradients: ReadonlyMap<string, DeviceTensor>, options?: PassOptions): void {
    this.engine.backward(gradients, this.#sums, options);
  }
}
