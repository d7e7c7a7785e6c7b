// Graphs as ONNX Runtime's quantization tool writes them, made by code: QDQ, and operators on codes.
import type { Attribute, DType, Graph, GraphNode, Tensor } from "../../src/graph/types.ts";
import { inferFacts } from "../../src/graph/infer.ts";
import { float32, graphOf, int64s, node, random } from "../graph/build.ts";

/** How activations and weights are encoded; the tool's choices differ by target. */
export interface Style {
  readonly activations: "uint8" | "int8";
  readonly weights: "uint8" | "int8";
  readonly perChannel: boolean;
}

interface Encoded {
  readonly scale: number;
  readonly zero: number;
}

/** Builds one graph; every `…` value is real numbers, every `…_q` codes. */
export class Foreign {
  readonly nodes: GraphNode[] = [];
  readonly constants: Record<string, Tensor> = {};
  readonly #encodings = new Map<string, Encoded>();
  readonly #style: Style;
  readonly #next: () => number;

  constructor(style: Style, seed = 1) {
    this.#style = style;
    this.#next = random(seed);
  }

  add(text: string, attributes: Record<string, Attribute> = {}): void {
    this.nodes.push(node(text, attributes));
  }

  graph(inputs: Record<string, readonly (number | string)[]>, outputs: readonly string[], dtype: DType = "float32"): Graph {
    const nodes = this.nodes.splice(0);
    const graph = graphOf(inputs, [], this.constants, []);
    const facts = new Map(Array.from(graph.facts, ([name, fact]) => [name, name in inputs ? { ...fact, dtype } : fact]));
    return inferFacts({ ...graph, nodes, outputs, facts });
  }

  scalar(name: string, value: number): string {
    this.constants[name] = float32([], [value]);
    return name;
  }

  integers(name: string, values: readonly number[]): string {
    this.constants[name] = int64s(values);
    return name;
  }

  /** Scale and zero point of a value as constants: "x_scale, x_zero". */
  encode(name: string, encoding: Encoded): string {
    this.#encodings.set(name, encoding);
    this.scalar(`${name}_scale`, Math.fround(encoding.scale));
    this.constants[`${name}_zero`] = this.codes([], [encoding.zero], this.#style.activations);
    return `${name}_scale, ${name}_zero`;
  }

  /** x → x_q → x_d */
  pair(name: string, encoding: Encoded): string {
    const parameters = this.encode(name, encoding);
    this.add(`${name}_q = QuantizeLinear(${name}, ${parameters})`);
    this.add(`${name}_d = DequantizeLinear(${name}_q, ${parameters})`);
    return `${name}_d`;
  }

  codes(dims: readonly number[], values: readonly number[], dtype: DType): Tensor {
    const data = dtype === "uint8" ? Uint8Array.from(values) : dtype === "int8" ? Int8Array.from(values) : Int32Array.from(values);
    return { dtype, dims, data };
  }

  /** Random weight codes over the whole range, and scales that keep sums of `taps` products near 1: "w_q, w_scale, w_zero". */
  weights(name: string, dims: readonly number[], axis: number, taps: number): string {
    const { weights, perChannel } = this.#style;
    const count = perChannel ? dims[axis]! : 1;
    const zero = weights === "uint8" ? 128 : 0;
    const size = dims.reduce((p, d) => p * d, 1);
    const values = Array.from({ length: size }, () => Math.max(-128, Math.min(127, Math.floor(128 * this.#next()))) + zero);
    this.constants[`${name}_q`] = this.codes(dims, values, weights);
    const shape = perChannel ? [count] : [];
    const scales = Array.from({ length: count }, () => ((1.5 + this.#next()) * 0.016) / Math.sqrt(taps));
    this.constants[`${name}_scale`] = float32(shape, scales);
    this.constants[`${name}_zero`] = this.codes(shape, new Array<number>(count).fill(zero), weights);
    return `${name}_q, ${name}_scale, ${name}_zero`;
  }

  /** int32 codes of scale s_x·s_w. */
  bias(name: string, weights: string, input: string, channels: number): void {
    const x = Math.fround(this.#encodings.get(input)!.scale);
    const scales = Float32Array.from(this.constants[`${weights}_scale`]!.data as Float32Array, (w) => x * w);
    this.constants[`${name}_scale`] = float32(scales.length === 1 ? [] : [channels], scales);
    const code = (o: number): number => Math.round(this.#next() / scales[scales.length === 1 ? 0 : o]!);
    this.constants[`${name}_q`] = this.codes(
      [channels],
      Array.from({ length: channels }, (_, o) => code(o)),
      "int32",
    );
  }

  /** y = Conv(x, w, b) between pairs that are already there: weights and bias behind DequantizeLinear. */
  convQdq(y: string, x: string, dims: readonly number[], attributes: Record<string, Attribute> = {}): string {
    const taps = dims.slice(1).reduce((p, d) => p * d, 1);
    this.add(`${y}_w_d = DequantizeLinear(${this.weights(`${y}_w`, dims, 0, taps)})`, { axis: 0 });
    this.bias(`${y}_b`, `${y}_w`, x, dims[0]!);
    this.add(`${y}_b_d = DequantizeLinear(${y}_b_q, ${y}_b_scale)`, { axis: 0 });
    this.add(`${y} = Conv(${x}_d, ${y}_w_d, ${y}_b_d)`, attributes);
    return y;
  }

  /** y_q = QLinearConv(x_q …) */
  qlinearConv(y: string, x: string, dims: readonly number[], encoding: Encoded, attributes: Record<string, Attribute> = {}): string {
    const taps = dims.slice(1).reduce((p, d) => p * d, 1);
    const weights = this.weights(`${y}_w`, dims, 0, taps);
    this.bias(`${y}_b`, `${y}_w`, x, dims[0]!);
    this.add(`${y}_q = QLinearConv(${x}_q, ${x}_scale, ${x}_zero, ${weights}, ${this.encode(y, encoding)}, ${y}_b_q)`, attributes);
    return y;
  }

  /** The three inputs of a value in codes. */
  triple(x: string): string {
    return `${x}_q, ${x}_scale, ${x}_zero`;
  }

  /** Codes under another name, which only moved. */
  alias(name: string, like: string): void {
    const encoding = this.#encodings.get(like)!;
    this.encode(name, encoding);
  }
}
