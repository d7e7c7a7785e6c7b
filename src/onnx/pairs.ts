// QuantizeLinear/DequantizeLinear pairs → encodings of named values, and the float graph between them.
import { HalftoneError } from "../errors.ts";
import type { Encoding } from "../formats/encoding.ts";
import type { Graph, GraphNode, Tensor } from "../graph/types.ts";
import { readers } from "../quantized/fusions.ts";
import { moves } from "../quantized/sites.ts";
import { type Coded, codedOf, decode, encodingOf, isCodes, lowestCode, refuse, sameEncoding, sameMeaning, showEncoding } from "./codes.ts";

/** Reads a prepared graph whose only operators on codes are QuantizeLinear, DequantizeLinear and those that move codes. */
export class PairReader {
  /** The float graph. */
  readonly nodes: GraphNode[] = [];
  readonly constants: Map<string, Tensor>;
  /** By name of the float value. */
  readonly encodings: Map<string, Encoding> = new Map();
  /** Constants behind DequantizeLinear, by name of their real numbers. */
  readonly coded: Map<string, Coded> = new Map();
  readonly #graph: Graph;
  readonly #producers: ReadonlyMap<string, GraphNode>;
  /** The float value that codes, or what DequantizeLinear makes of them, stand for. */
  readonly #real = new Map<string, string>();
  /** New names: a value that leaves the graph through a pair has the name of the output. */
  readonly #names = new Map<string, string>();

  constructor(graph: Graph) {
    this.#graph = graph;
    this.constants = new Map(graph.constants);
    this.#producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  }

  read(): void {
    for (const input of this.#graph.inputs) this.#input(input);
    for (const output of this.#graph.outputs) this.#name(output);
    for (const node of this.#graph.nodes) {
      if (node.op === "QuantizeLinear") this.#quantize(node);
      else if (node.op === "DequantizeLinear") this.#dequantize(node);
      else this.#float(node);
    }
    for (const output of this.#graph.outputs) this.#return(output);
    this.#refuseBypasses();
  }

  /** An input of codes has the encoding of whoever decodes it. */
  #input(input: string): void {
    if (!isCodes(this.#graph.facts.get(input)?.dtype)) return;
    const reader = this.#graph.nodes.find(({ op, inputs }) => op === "DequantizeLinear" && inputs[0] === input);
    if (!reader)
      throw new HalftoneError(
        "NO_INTEGER_FORM",
        `input '${input}'`,
        "codes that no DequantizeLinear reads",
        "codes with a scale and zero point",
      );
    this.encodings.set(input, encodingOf(this.#graph, reader));
    this.#real.set(input, input);
  }

  /** Gives the value behind an output's pairs the output's name. */
  #name(output: string): void {
    let value = output;
    for (let node = this.#producers.get(value); node; node = this.#producers.get(value)) {
      const source = node.inputs[0]!;
      if (node.op !== "DequantizeLinear" && (node.op !== "QuantizeLinear" || this.#requantizes(node))) break;
      value = source;
    }
    const free = this.#producers.has(value) && !this.#graph.outputs.includes(value) && !this.#names.has(value);
    if (value !== output && free) this.#names.set(value, output);
  }

  /** Codes that come from codes of another encoding. */
  #requantizes(node: GraphNode): boolean {
    const before = this.#producers.get(node.inputs[0]!);
    return before?.op === "DequantizeLinear" && !sameEncoding(encodingOf(this.#graph, before), encodingOf(this.#graph, node));
  }

  #defined(value: string): string {
    return this.#names.get(value) ?? value;
  }

  #quantize(node: GraphNode): void {
    const [x, q] = [node.inputs[0]!, node.outputs[0]!];
    const encoding = encodingOf(this.#graph, node);
    const before = this.#real.get(x);
    const value = before ?? this.#defined(x);
    const known = this.encodings.get(value);
    if (known && !sameEncoding(known, encoding)) {
      if (before === undefined)
        throw refuse(
          node,
          `${showEncoding(encoding)} for '${value}', which has codes of ${showEncoding(known)} too`,
          "one scale and zero point for a value",
          "Quantize the value once, for all its readers.",
        );
      this.#identity(before, this.#defined(q), encoding);
      this.#real.set(q, this.#defined(q));
    } else {
      this.encodings.set(value, encoding);
      this.#real.set(q, value);
    }
  }

  #dequantize(node: GraphNode): void {
    const [x, y] = [node.inputs[0]!, node.outputs[0]!];
    if (this.#graph.constants.has(x)) {
      const coded = codedOf(this.#graph, node);
      this.coded.set(y, coded);
      this.constants.set(y, decode(coded));
      return;
    }
    const value = this.#real.get(x);
    if (value === undefined)
      throw refuse(
        node,
        `${this.#graph.facts.get(x)?.dtype} codes that '${this.#producers.get(x)?.name}' computes`,
        "codes from QuantizeLinear",
      );
    const [known, encoding] = [this.encodings.get(value)!, encodingOf(this.#graph, node)];
    if (!sameMeaning(known, encoding)) throw refuse(node, showEncoding(encoding), `those of the codes it reads: ${showEncoding(known)}`);
    this.#real.set(y, value);
  }

  #float(node: GraphNode): void {
    const onCodes = node.inputs.filter((name) => this.#real.has(name) && isCodes(this.#graph.facts.get(name)?.dtype));
    const inputs = node.inputs.map((name) => this.#real.get(name) ?? this.#defined(name));
    const outputs = node.outputs.map((name) => this.#defined(name));
    if (onCodes.length === 0) {
      this.nodes.push({ ...node, inputs, outputs });
      return;
    }
    const encoding = this.#movedEncoding(node, onCodes);
    if (node.op === "Pad" && inputs[2]) inputs[2] = this.#padValue(node, encoding);
    for (const [i, output] of outputs.entries()) {
      if (!output) continue;
      this.encodings.set(output, encoding);
      this.#real.set(node.outputs[i]!, output);
    }
    this.nodes.push({ ...node, inputs, outputs });
  }

  /** Codes that only move keep their encoding; whatever computes with them must say what they mean. */
  #movedEncoding(node: GraphNode, inputs: readonly string[]): Encoding {
    const [first, ...rest] = inputs.map((name) => this.encodings.get(this.#real.get(name)!)!);
    const moving = moves(node) || (node.op === "Concat" && inputs.length === node.inputs.length);
    if (!moving) throw refuse(node, "arithmetic on codes", "DequantizeLinear before it, or an operator that only moves codes");
    if (rest.some((other) => !sameEncoding(first!, other))) throw refuse(node, "codes of several scales", "codes of one scale");
    return first!;
  }

  /** Pad's constant in real numbers. */
  #padValue(node: GraphNode, { scale, zeroPoint }: Encoding): string {
    const code = this.#graph.constants.get(node.inputs[2]!);
    if (!code) throw refuse(node, "a value computed at run time", "a constant");
    // Encodings are unsigned here, the file's codes need not be.
    const name = `${node.name}/real_value`;
    const data = Float32Array.of((Number(code.data[0]) - lowestCode(code.dtype) - zeroPoint[0]!) * scale[0]!);
    this.constants.set(name, { dtype: "float32", dims: [], data });
    return name;
  }

  /** The same real numbers in codes of another encoding: the greatest of one value. */
  #identity(from: string, to: string, encoding: Encoding): void {
    this.nodes.push({ name: to, op: "Max", inputs: [from], outputs: [to], attributes: {} });
    this.encodings.set(to, encoding);
  }

  /** An output whose value has another name already (two outputs of one value, or an input that is returned). */
  #return(output: string): void {
    const value = this.#real.get(output);
    if (value !== undefined && value !== output) this.#identity(value, output, this.encodings.get(value)!);
  }

  /** A value with codes must not be read unrounded as well: an integer program has only the codes. */
  #refuseBypasses(): void {
    const readersOf = readers(this.#graph);
    for (const { op, inputs } of this.#graph.nodes) {
      const x = inputs[0]!;
      if (op !== "QuantizeLinear" || this.#real.has(x) || this.#onGrid(x)) continue;
      const other = readersOf.get(x)!.find((reader) => reader?.op !== "QuantizeLinear");
      if (!readersOf.get(x)!.every((reader) => reader?.op === "QuantizeLinear"))
        throw new HalftoneError(
          "NO_INTEGER_FORM",
          `value '${x}'`,
          `a reader in float, ${other ? `${other.op} '${other.name}'` : "the graph's output"}, beside one of its codes`,
          "readers of codes only",
          "Quantize that reader's input too.",
        );
    }
  }

  /** Moved codes are codes: nothing is lost by reading them in float. */
  #onGrid(value: string): boolean {
    const producer = this.#producers.get(value);
    const source = producer && moves(producer) ? this.#real.get(producer.inputs[0]!) : undefined;
    const [from, to] = [this.encodings.get(source ?? ""), this.encodings.get(this.#defined(value))];
    return from !== undefined && to !== undefined && sameEncoding(from, to);
  }
}
