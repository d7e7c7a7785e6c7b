import { int64s } from "../../src/graph/tensors.ts";
import type { Attribute, DType, GraphNode, Tensor } from "../../src/graph/types.ts";
import { operators } from "../../src/ops/registry.ts";

/** A node of one operator, with as many outputs as asked for. */
export function nodeOf(op: string, attributes: Readonly<Record<string, Attribute>> = {}, inputs = 1, outputs = 1): GraphNode {
  const names = (kind: string, n: number): string[] => Array.from({ length: n }, (_, i) => `${kind}${i}`);
  return { name: "node", op, inputs: names("x", inputs), outputs: names("y", outputs), attributes };
}

/** All outputs of an operator's reference. */
export function runAll(
  op: string,
  attributes: Readonly<Record<string, Attribute>>,
  inputs: readonly (Tensor | undefined)[],
  outputs = 1,
): Tensor[] {
  return operators.get(op)!.reference(nodeOf(op, attributes, inputs.length, outputs), inputs);
}

/** The first output. */
export function run(op: string, attributes: Readonly<Record<string, Attribute>>, ...inputs: (Tensor | undefined)[]): Tensor {
  return runAll(op, attributes, inputs)[0]!;
}

export const ints = (...values: number[]): Tensor => int64s(values);

export function f32(dims: readonly number[], values: readonly number[]): Tensor {
  return { dtype: "float32", dims, data: Float32Array.from(values) };
}

/** 0, 1, 2, … in the given shape. */
export function iota(dims: readonly number[], dtype: DType = "float32"): Tensor {
  const length = dims.reduce((a, b) => a * b, 1);
  const data = Array.from({ length }, (_, i) => i);
  return { dtype, dims, data: dtype === "int64" ? BigInt64Array.from(data, BigInt) : Float32Array.from(data) };
}

export const list = (x: Tensor): number[] => Array.from<number | bigint, number>(x.data as ArrayLike<number | bigint>, Number);
