// The plan while it grows: values, tensors and steps, addressed by the graph's own names.
import { assert, HalftoneError } from "../errors.ts";
import type { Encoding } from "../formats/encoding.ts";
import { quantizeOne } from "../formats/linear.ts";
import type { Graph, GraphNode } from "../graph/types.ts";
import type { PlanTensor, PlanValue, Step } from "../plan/types.ts";
import type { PixelInput, Quantized } from "../quantized/types.ts";
import type { Interval } from "./accumulator.ts";
import { orderOf, pitchOf } from "./layout.ts";
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
  readonly #index = new Map<string, number>();
  readonly #bounds = new Map<number, number>();
  /** Codes that each int8 value can hold. */
  readonly #ranges = new Map<number, Interval>();

  constructor(graph: Graph, quantized: Quantized, pixels?: PixelInput) {
    this.graph = graph;
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

  /** A new int8 value for a site of the graph. */
  codes(name: string): number {
    return this.#add(name, this.dims(name), "int8", this.encoding(name));
  }

  /** Takes the place of a value that no step makes, for the sake of its readers; false where it has no encoding. */
  stand(name: string): boolean {
    if (!this.quantized.activations.has(name) || this.graph.facts.get(name)?.dims?.[0] !== 1) return false;
    this.codes(name);
    return true;
  }

  /** A new int32 value of at most `bound` in magnitude, real = scale[c] · accumulator; one scale per channel or one for all. */
  accumulators(name: string, scale: readonly number[], bound: number): number {
    const index = this.#add(name, this.dims(name), "int32", { scale, zeroPoint: 0 });
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
  temporary(name: string, dims: readonly number[], like: UnplacedValue): number {
    return this.#add(`${name}~${this.values.length}`, dims, like.type, like);
  }

  #add(
    name: string,
    dims: readonly number[],
    type: "int8" | "int32",
    encoding: { scale: number | readonly number[]; zeroPoint: number },
  ): number {
    const order = orderOf(dims);
    const scale = typeof encoding.scale === "number" ? [encoding.scale] : encoding.scale;
    this.values.push({ name, dims, order, pitch: pitchOf(dims), type, scale, zeroPoint: encoding.zeroPoint });
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
    const input = this.range("inputs" in step ? step.inputs[0] : step.input);
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
