// What every operator asks of a node: its attributes, its place in the user's terms, its axes and sizes.
import { assert, HalftoneError } from "../errors.ts";
import { areKnown, unknownDim } from "../graph/dims.ts";
import { isFloat, isInteger, numbersOf } from "../graph/tensors.ts";
import type { Dim, DType, Fact, GraphNode, Tensor } from "../graph/types.ts";

/** Contents are followed through shape arithmetic up to this many elements. */
export const MAX_ELEMENTS = 256;

/** No model has a tensor of more axes; a damaged one may ask for billions. */
const MAX_RANK = 64;

export const place = (node: GraphNode): string => `${node.op} '${node.name}'`;

/** The error of inputs that cannot fit. */
export function mismatch(node: GraphNode, found: string, expected: string, hint = ""): HalftoneError {
  return new HalftoneError("SHAPE_MISMATCH", place(node), found, expected, hint);
}

export const show = (dims: readonly (Dim | undefined)[] | undefined): string => (dims ? `[${dims.join(", ")}]` : "an unknown shape");

/** Input i, which the operator cannot do without. @throws HalftoneError GRAPH_INVALID */
export function required<T>(node: GraphNode, inputs: readonly (T | undefined)[], i: number): T {
  const x = inputs[i];
  if (x === undefined) throw new HalftoneError("GRAPH_INVALID", place(node), `no input ${i}`, "a value there");
  return x;
}

function attribute<T>(node: GraphNode, key: string, kind: string, is: (x: unknown) => boolean): T | undefined {
  const x = node.attributes[key];
  if (x === undefined) return undefined;
  if (!is(x)) throw new HalftoneError("GRAPH_INVALID", place(node), `attribute '${key}' of another type`, kind);
  return x as T;
}

const isNumber = (x: unknown): boolean => typeof x === "number";
const isString = (x: unknown): boolean => typeof x === "string";

/** A number attribute (ONNX int or float). @throws HalftoneError GRAPH_INVALID on another type */
export function number(node: GraphNode, key: string, otherwise: number): number {
  return attribute<number>(node, key, "a number", isNumber) ?? otherwise;
}

/** An attribute that counts or indexes. @throws HalftoneError GRAPH_INVALID when it is no integer */
export function integer(node: GraphNode, key: string, otherwise: number): number {
  return attribute<number>(node, key, "an integer", Number.isInteger) ?? otherwise;
}

export function text(node: GraphNode, key: string, otherwise: string): string {
  return attribute<string>(node, key, "a string", isString) ?? otherwise;
}

export function numbersAttribute(node: GraphNode, key: string): readonly number[] | undefined {
  return attribute<readonly number[]>(node, key, "a list of numbers", (x) => Array.isArray(x) && x.every(isNumber));
}

export function stringsAttribute(node: GraphNode, key: string): readonly string[] | undefined {
  return attribute<readonly string[]>(node, key, "a list of strings", (x) => Array.isArray(x) && x.every(isString));
}

export function tensorAttribute(node: GraphNode, key: string): Tensor | undefined {
  return attribute<Tensor>(node, key, "a tensor", (x) => typeof x === "object" && x !== null && "data" in x);
}

/** An axis counted from 0; negative ones count from the end. @throws HalftoneError SHAPE_MISMATCH outside [−rank, rank) */
export function axisOf(node: GraphNode, axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis;
  if (!(Number.isInteger(axis) && positive >= 0 && positive < rank))
    throw mismatch(node, `axis ${axis}`, `an axis of a rank-${rank} tensor`);
  return positive;
}

/** Row-major strides in elements. */
export function stridesOf(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length);
  let step = 1;
  for (let a = dims.length - 1; a >= 0; a--) {
    strides[a] = step;
    step *= dims[a]!;
  }
  return strides;
}

/** A symbol for a size that no input tells: the same at every import. */
export function freshDim(node: GraphNode, axis: number, output = 0): Dim {
  return unknownDim(node.outputs[output] || `${node.name}:${output}`, axis);
}

/** @throws HalftoneError SHAPE_MISMATCH for more axes than any tensor has */
export function freshDims(node: GraphNode, rank: number, output = 0): Dim[] {
  if (!(rank >= 0 && rank <= MAX_RANK)) throw mismatch(node, `a tensor of rank ${rank}`, `a rank of at most ${MAX_RANK}`);
  return Array.from({ length: rank }, (_, axis) => freshDim(node, axis, output));
}

/** A fact; contents only where they are small. */
export function fact(dtype: DType, dims: readonly Dim[] | undefined, elements?: readonly (Dim | undefined)[] | undefined): Fact {
  const keep = elements && elements.length <= MAX_ELEMENTS && (elements.length === 0 || elements.some((e) => e !== undefined));
  return keep ? { dtype, dims, elements } : { dtype, dims };
}

/** What is known of the contents of an integer or bool value. */
export function contents(x: Fact | undefined): readonly (Dim | undefined)[] | undefined {
  if (x?.elements) return x.elements;
  const c = x?.constant;
  return c && (isInteger(c.dtype) || c.dtype === "bool") && c.data.length <= MAX_ELEMENTS ? numbersOf(c) : undefined;
}

/** Contents as plain numbers when every one of them is known. */
export function knownNumbers(x: Fact | undefined): readonly number[] | undefined {
  if (x?.constant) return numbersOf(x.constant);
  const elements = contents(x);
  return areKnown(elements) ? elements : undefined;
}

function mustBeInteger(node: GraphNode, x: Fact | undefined): Fact | undefined {
  if (x && !isInteger(x.dtype))
    throw new HalftoneError("GRAPH_INVALID", place(node), `${x.dtype} where sizes or indices stand`, "int64 or int32");
  return x;
}

/** What is known of an input that holds sizes or indices. @throws HalftoneError GRAPH_INVALID when it holds no integers */
export const sizesIn = (node: GraphNode, x: Fact | undefined): readonly (Dim | undefined)[] | undefined => contents(mustBeInteger(node, x));

/** The same, when all of it is known as numbers. */
export const listIn = (node: GraphNode, x: Fact | undefined): readonly number[] | undefined => knownNumbers(mustBeInteger(node, x));

/** @throws HalftoneError SHAPE_MISMATCH when a value that must be one number is known to have other sizes */
export function mustBeOne(node: GraphNode, x: Fact | undefined): void {
  const bad = x?.dims?.find((d) => typeof d === "number" && d !== 1);
  if (bad !== undefined) throw mismatch(node, `${show(x?.dims)} where one number stands`, "a scalar");
}

/** @throws HalftoneError ONNX_UNSUPPORTED_TYPE unless the elements are floats */
export function mustBeFloat(node: GraphNode, x: Fact): void {
  if (!isFloat(x.dtype)) throw new HalftoneError("ONNX_UNSUPPORTED_TYPE", place(node), `${x.dtype} elements`, "a floating-point type");
}

/** The one element type of operands. @throws HalftoneError SHAPE_MISMATCH when there are two */
export function commonType(node: GraphNode, operands: readonly (Fact | undefined)[]): DType {
  const [first, ...rest] = operands.flatMap((x) => (x ? [x.dtype] : []));
  const other = rest.find((dtype) => dtype !== first);
  if (other || !first) throw mismatch(node, `${first} and ${other}`, "operands of one element type");
  return first;
}

/** The fact that a concrete tensor is. */
export const factOf = (t: Tensor): Fact => ({ dtype: t.dtype, dims: t.dims, constant: t });

/** Dims of an output inferred from concrete inputs: references compute their shapes by the same rule. */
export function concrete(facts: readonly Fact[], output = 0): readonly number[] {
  const dims = facts[output]?.dims;
  assert(areKnown(dims), "concrete inputs have concrete outputs");
  return dims;
}
