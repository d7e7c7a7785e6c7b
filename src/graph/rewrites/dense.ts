// Fully connected layers in one form: Gemm with transB = 1, alpha = beta = 1, weights [O, I] and bias [O].

import { type Editor, rewriteEach } from "../editor.ts";
import { float32, numbersOf } from "../tensors.ts";
import type { GraphNode, Rewrite, Tensor } from "../types.ts";

const canonical = { alpha: 1, beta: 1, transA: 0, transB: 1 };

/** [a, b] → [b, a] */
function transposed({ dims, data }: Tensor): Tensor {
  const [rows = 0, columns = 0] = dims;
  const result = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) result[c * rows + r] = Number(data[r * columns + c]);
  return float32([columns, rows], result);
}

function scaled(tensor: Tensor, factor: number): Tensor {
  return factor === 1
    ? tensor
    : float32(
        tensor.dims,
        Float32Array.from(tensor.data as Float32Array, (x) => x * factor),
      );
}

function isMatrix(tensor: Tensor | undefined): tensor is Tensor {
  return tensor?.dtype === "float32" && tensor.dims.length === 2;
}

/** The bias as [O] when it is the same for all rows; undefined otherwise. */
function rowBias(bias: Tensor, channels: number): Tensor | undefined {
  if (bias.dtype !== "float32" || bias.dims.slice(0, -1).some((size) => size !== 1)) return undefined;
  if (bias.data.length === channels) return float32([channels], bias.data as Float32Array);
  return bias.data.length === 1 ? float32([channels], new Array<number>(channels).fill(Number(bias.data[0]))) : undefined;
}

/** Gemm with constant weights: alpha and beta go into the constants, the weights become [O, I], the bias [O]. */
export const canonicalGemm: Rewrite = rewriteEach("canonical-gemm", ["Gemm"], (node, edit) => {
  const weight = edit.constant(node.inputs[1]);
  const bias = edit.constant(node.inputs[2]);
  if (!isMatrix(weight) || (node.inputs[2] && !bias)) return;
  const { alpha = 1, beta = 1, transA = 0, transB = 0 } = node.attributes as Record<string, number>;
  const channels = weight.dims[transB ? 0 : 1]!;
  const row = bias && rowBias(bias, channels);
  if (bias && !row) return;
  const settled = alpha === 1 && beta === 1 && transB === 1 && (!bias || bias.dims.length === 1);
  if (settled && (!bias || bias.data.length === channels)) return;
  const newWeight = scaled(transB ? weight : transposed(weight), alpha);
  const inputs = [node.inputs[0]!, edit.addConstant(node.inputs[1]!, newWeight, node)];
  if (row && beta !== 0) inputs.push(edit.addConstant(node.inputs[2]!, scaled(row, beta), node));
  edit.replace(node, { ...node, inputs, attributes: { ...canonical, transA } });
});

/** MatMul of a matrix by constant weights, then Add of a constant row, is Gemm. */
export const matMulToGemm: Rewrite = rewriteEach("matmul-to-gemm", ["Add"], (node, edit) => {
  const product = edit.ownProducer(node.inputs[0], "MatMul");
  const weight = edit.constant(product?.inputs[1]);
  const bias = edit.constant(node.inputs[1]);
  if (!product || !isMatrix(weight) || !bias || edit.fact(product.inputs[0])?.dims?.length !== 2) return;
  const row = bias.dims.length <= 2 ? rowBias(bias, weight.dims[1]!) : undefined;
  if (row) replaceByGemm(product, node, weight, row, edit);
});

function replaceByGemm(product: GraphNode, add: GraphNode, weight: Tensor, row: Tensor, edit: Editor): void {
  const [x = "", w = ""] = product.inputs;
  const inputs = [x, edit.addConstant(w, transposed(weight), product), edit.addConstant(add.inputs[1]!, row, add)];
  edit.replace(add);
  edit.replace(product, { ...product, op: "Gemm", inputs, outputs: add.outputs, attributes: canonical });
}

/** Constants that only a factor separates from Mul and Add: x − c is x + (−c), x / 2ⁿ is x · 2⁻ⁿ. Both are exact. */
export const exactInverses: Rewrite = rewriteEach("exact-inverses", ["Sub", "Div"], (node, edit) => {
  const tensor = edit.constant(node.inputs[1]);
  if (tensor?.dtype !== "float32") return;
  const values = numbersOf(tensor);
  const inverses = values.map((x) => (node.op === "Sub" ? -x : 1 / x));
  if (node.op === "Div" && !values.every((x, i) => Number.isFinite(inverses[i]!) && isPowerOfTwo(Math.abs(x)))) return;
  const inverse = edit.addConstant(node.inputs[1]!, float32(tensor.dims, inverses), node);
  edit.replace(node, { ...node, op: node.op === "Sub" ? "Add" : "Mul", inputs: [node.inputs[0]!, inverse] });
});

/** Exact in float32 both ways: 2ⁿ with |n| ≤ 126. */
function isPowerOfTwo(x: number): boolean {
  for (let power = 1; power < 1e38; power *= 2) if (x === power || x * power === 1) return true;
  return false;
}

/** A constant operand of a commutative operator stands on the right. */
export const constantsRight: Rewrite = rewriteEach("constants-right", ["Add", "Mul", "Max", "Min"], (node, edit) => {
  const [left = "", right = ""] = node.inputs;
  if (node.inputs.length === 2 && edit.constant(left) && !edit.constant(right)) edit.replace(node, { ...node, inputs: [right, left] });
});
