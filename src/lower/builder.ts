// The plan while it grows: values, tensors and steps, addressed by the graph's own names.
import { assert, HalftoneError } from "../errors.ts";
import type { Encoding } from "../formats/encoding.ts";
import { quantizeOne, tensorEncoding, unsignedCodes } from "../formats/linear.ts";
import type { Graph, GraphNode } from "../graph/types.ts";
import { stepInputs } from "../plan/lifetimes.ts";
import type { PlanTensor, PlanValue, Step } from "../plan/types.ts";
import { readers } from "../quantized/fusions.ts";
import type { PixelInput, Quantized } from "../quantized/types.ts";
import type { Interval } from "./accumulator.ts";
import { orderOf, pitchOf, placesOf, stridesOf } from "./layout.ts";
import { anyCode, writtenCodes } from "./ranges.ts";

/** A value of the plan without its place in the arena, which is known when all steps are. */
export type UnplacedValue = Omit<PlanValue, "offset">;

/** int8 codes: real = scale · (code − zeroPoint). */
export interface CodeEncoding {
  readonly scale: number;
  readonly zeroPoint: number;
  /** The codes that can occur. */
  readonly lo: number;
  readonly hi: number;
}

export class Builder {
  readonly graph: Graph;
  readonly quantized: Quantized;
  /** How stored numbers enter, where they do. */
  readonly pixels: PixelInput | undefined;
  readonly values: UnplacedValue[] = [];
  readonly steps: Step[] = [];
  readonly tensors: Map<string, PlanTensor> = new Map();
  readonly #readers: ReadonlyMap<string, readonly (GraphNode | undefined)[]>;
  readonly #index = new Map<string, number>();
  readonly #bounds = new Map<number, number>();
  /** Codes that each int8 value can hold. */
  readonly #ranges = new Map<number, Interval>();

  constructor(graph: Graph, quantized: Quantized, pixels?: PixelInput) {
    this.graph = graph;
    this.#readers = readers(graph);
    this.quantized = quantized;
    this.pixels = pixels;
  }

  /** Dims of one sample of an activation: the first axis is the batch, 1 in the graph given to lowering. */
  dims(name: string): number[] {
    const dims = this.graph.facts.get(name)?.dims;
    assert(
      dims?.every((d) => typeof d === "number"),
      `'${name}' has concrete dims`,
    );
    if (dims[0] !== 1) {
      throw new HalftoneError(
        "NO_INTEGER_FORM",
        `value '${name}'`,
        `shape [${dims.join(", ")}] at batch size 1`,
        "the batch as the first axis",
        "An integer program runs one sample at a time; keep the batch in front, or write an ONNX file instead of a plan.",
      );
    }
    return dims.slice(1) as number[];
  }

  /** Index of the value that holds `name`, which an earlier unit has made. */
  index(name: string): number {
    const found = this.#index.get(name);
    assert(found !== undefined, `'${name}' was lowered before its reader`);
    return found;
  }

  has(name: string): boolean {
    return this.#index.has(name);
  }

  value(index: number): UnplacedValue {
    return this.values[index]!;
  }

  /** The encoding of a site as signed int8 codes. */
  encoding(name: string): CodeEncoding {
    if (this.pixels?.values.includes(name)) return { scale: 1, zeroPoint: this.pixels.zero, lo: -128, hi: 127 };
    const encoding = this.quantized.activations.get(name);
    assert(encoding, `'${name}' has an encoding`);
    return signedEncoding(encoding);
  }

  /** A new int8 value for a site of the graph. @param order of its axes in memory, where it is not the usual one */
  codes(name: string, order?: readonly number[]): number {
    return this.#add(name, this.dims(name), "int8", this.encoding(name), order);
  }

  /** The nodes that read a value; undefined stands for the outside. */
  readers(name: string): readonly (GraphNode | undefined)[] {
    return this.#readers.get(name) ?? [];
  }

  /** The value itself, or a copy of it with its axes in another order. */
  inOrder(node: GraphNode, index: number, order: readonly number[]): number {
    const value = this.value(index);
    if (value.order.every((axis, i) => axis === order[i])) return index;
    const to = this.temporary(value.name, value.dims, value, order);
    const strides = { inStrides: stridesOf(value), outStrides: stridesOf(this.value(to)) };
    this.emit({ kernel: "copy", nodes: [node.name], input: index, output: to, dims: value.dims, ...strides, inOffset: 0, outOffset: 0 });
    return to;
  }

  /** The value in the usual order: images channels last. */
  inUsualOrder(node: GraphNode, index: number): number {
    return this.inOrder(node, index, orderOf(this.value(index).dims));
  }

  /**
   * A value that holds a constant of the graph in 8-bit codes of its own range.
   *
   * @param rank of the values it meets, without the batch
   */
  constant(node: GraphNode, name: string, rank: number, order: readonly number[]): number {
    const tensor = this.graph.constants.get(name);
    assert(tensor, `'${name}' is a constant`);
    const dims = [...new Array<number>(Math.max(0, rank + 1 - tensor.dims.length)).fill(1), ...tensor.dims];
    if (!(tensor.data instanceof Float32Array) || dims.length !== rank + 1 || dims[0] !== 1)
      throw noIntegerForm(node, `a constant of shape [${tensor.dims.join(", ")}]`, "real numbers that are the same for every sample");
    const { data } = tensor;
    const min = data.reduce((least, x) => Math.min(least, x), 0);
    const max = data.reduce((most, x) => Math.max(most, x), 0);
    const encoding = signedEncoding(tensorEncoding({ min, max }, unsignedCodes(8)));
    const output = this.#add(name, dims.slice(1), "int8", encoding, order);
    const places = placesOf(this.value(output));
    const codes = Int8Array.from(places, (place) => encode(data[place]!, encoding));
    this.emit({ kernel: "constant", nodes: [node.name], output, data: this.tensor(node, "constant", codes) });
    return output;
  }

  /** Takes the place of a value that no step makes, for the sake of its readers; false where it has no encoding. */
  stand(name: string): boolean {
    if (!this.quantized.activations.has(name) || this.graph.facts.get(name)?.dims?.[0] !== 1) return false;
    this.codes(name);
    return true;
  }

  /** A new int32 value of at most `bound` in magnitude, real = scale[c] · accumulator; one scale per channel or one for all. */
  accumulators(name: string, scale: readonly number[], bound: number, order?: readonly number[]): number {
    const index = this.#add(name, this.dims(name), "int32", { scale, zeroPoint: 0 }, order);
    this.#bounds.set(index, bound);
    return index;
  }

  /** The largest magnitude an int32 value can have. */
  accumulatorBound(index: number): number {
    const bound = this.#bounds.get(index);
    assert(bound !== undefined, "an int32 value has a bound");
    return bound;
  }

  /** A helper buffer with the encoding of another value and dims of its own. */
  temporary(name: string, dims: readonly number[], like: UnplacedValue, order?: readonly number[]): number {
    return this.#add(`${name}~${this.values.length}`, dims, like.type, like, order);
  }

  #add(
    name: string,
    dims: readonly number[],
    type: "int8" | "int32",
    encoding: { scale: number | readonly number[]; zeroPoint: number },
    order: readonly number[] = orderOf(dims),
  ): number {
    const scale = typeof encoding.scale === "number" ? [encoding.scale] : encoding.scale;
    this.values.push({ name, dims, order, pitch: pitchOf(dims, order), type, scale, zeroPoint: encoding.zeroPoint });
    this.#index.set(name, this.values.length - 1);
    return this.values.length - 1;
  }

  /** Stores constant integers and returns their name in the plan. */
  tensor(node: GraphNode, role: string, data: PlanTensor): string {
    let name = `${node.name}.${role}`;
    while (this.tensors.has(name)) name += "'";
    this.tensors.set(name, data);
    return name;
  }

  /** The codes that occur in a value; all of int8 in an input. */
  range(index: number): Interval {
    return this.#ranges.get(index) ?? anyCode;
  }

  emit(step: Step): void {
    this.steps.push(step);
    const [first] = stepInputs(step);
    const input = first === undefined ? anyCode : this.range(first);
    const before = this.#ranges.get(step.output);
    this.#ranges.set(
      step.output,
      writtenCodes(step, input, before, (name) => this.tensors.get(name)!),
    );
  }
}

/** Unsigned codes 0…2^b − 1 become int8 by subtracting 128, the zero point with them. */
export function signedEncoding(encoding: Encoding): CodeEncoding {
  assert(encoding.levels.kind === "linear" && encoding.granularity.kind === "tensor", "activations are linear per tensor");
  const { lo, hi } = encoding.levels;
  const shift = lo >= 0 ? 128 : 0;
  return { scale: encoding.scale[0]!, zeroPoint: encoding.zeroPoint[0]! - shift, lo: lo - shift, hi: hi - shift };
}

/** The code nearest to a real number, saturated: as ONNX QuantizeLinear rounds the float32 quotient. */
export function encode(real: number, encoding: CodeEncoding): number {
  return quantizeOne(Math.fround(real), encoding.scale, encoding.zeroPoint, encoding.lo, encoding.hi);
}

/** Code range of an output after a clamp in real units. */
export function clampCodes(
  encoding: CodeEncoding,
  clamp: { readonly min: number; readonly max: number } | undefined,
): { lo: number; hi: number } {
  if (!clamp) return { lo: encoding.lo, hi: encoding.hi };
  return { lo: encode(clamp.min, encoding), hi: encode(clamp.max, encoding) };
}

export function noIntegerForm(node: GraphNode, found: string, expected: string, hint = ""): HalftoneError {
  return new HalftoneError(
    "NO_INTEGER_FORM",
    `${node.op} '${node.name}'`,
    found,
    expected,
    hint || `Keep it in float in an ONNX file: --exclude ${node.name} -o model.onnx.`,
  );
}
