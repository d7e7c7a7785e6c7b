// Whole networks as ONNX Runtime's quantization tool writes them.
import type { Graph } from "../../src/graph/types.ts";
import { Foreign, type Style } from "./foreign.ts";

export const u8s8: Style = { activations: "uint8", weights: "int8", perChannel: true };
export const s8s8: Style = { activations: "int8", weights: "int8", perChannel: false };
export const u8u8: Style = { activations: "uint8", weights: "uint8", perChannel: false };

/** A zero point of the style in the place of an unsigned one. */
const zero = (style: Style, unsigned: number): number => (style.activations === "uint8" ? unsigned : unsigned - 128);
const threes = { pads: [1, 1, 1, 1], kernel_shape: [3, 3] };

/** QOperator format: residual, pool and reshape on codes, concatenation of two scales, global average, fully connected. */
export function operatorNetwork(style: Style): Graph {
  const g = new Foreign(style, 3);
  const z = (unsigned: number): number => zero(style, unsigned);
  g.add(`x_q = QuantizeLinear(x, ${g.encode("x", { scale: 0.0173, zero: z(121) })})`);
  g.qlinearConv("a", "x", [16, 3, 3, 3], { scale: 0.0091, zero: z(0) }, threes);
  g.qlinearConv("b", "a", [16, 1, 3, 3], { scale: 0.0107, zero: z(130) }, { ...threes, group: 16 });
  g.qlinearConv("c", "b", [16, 16, 3, 3], { scale: 0.0113, zero: z(127) }, threes);
  g.add(`s_q = QLinearAdd(${g.triple("c")}, ${g.triple("a")}, ${g.encode("s", { scale: 0.0151, zero: z(99) })})`);
  g.alias("p", "s");
  g.add("p_q = MaxPool(s_q)", { kernel_shape: [2, 2], strides: [2, 2] });
  g.qlinearConv("d", "p", [8, 16, 1, 1], { scale: 0.0119, zero: z(118) }, { kernel_shape: [1, 1] });
  g.add(`l_q = QLinearLeakyRelu(${g.triple("d")}, ${g.encode("l", { scale: 0.0087, zero: z(20) })})`, { alpha: 0.125 });
  g.add(`k_q = QLinearConcat(${g.encode("k", { scale: 0.0161, zero: z(90) })}, ${g.triple("p")}, ${g.triple("l")})`, { axis: 1 });
  g.add(`m_q = QLinearGlobalAveragePool(${g.triple("k")}, ${g.encode("m", { scale: 0.0059, zero: z(101) })})`, { channels_last: 0 });
  g.alias("f", "m");
  g.add("f_q = Flatten(m_q)", { axis: 1 });
  const weights = g.weights("w", [10, 24], 0, 24);
  g.bias("y_b", "w", "f", 10);
  g.add(`y_q = QGemm(${g.triple("f")}, ${weights}, y_b_q, ${g.encode("y", { scale: 0.0093, zero: z(128) })})`, { alpha: 1, transB: 1 });
  g.add(`y = DequantizeLinear(y_q, y_scale, y_zero)`);
  return g.graph({ x: [1, 3, 8, 8] }, ["y"]);
}

/** QDQ format: explicit and omitted ReLU, SiLU in three pieces, pools, linear sums, a classifier that ends in float. */
export function pairNetwork(style: Style): Graph {
  const g = new Foreign(style, 5);
  const z = (unsigned: number): number => zero(style, unsigned);
  g.pair("x", { scale: 0.0171, zero: z(119) });
  g.convQdq("a", "x", [16, 3, 3, 3], { ...threes, strides: [2, 2] });
  g.pair("a", { scale: 0.0123, zero: z(125) });
  g.add("r = Relu(a_d)");
  g.pair("r", { scale: 0.0061, zero: z(0) });
  g.convQdq("b", "r", [16, 16, 3, 3], threes);
  g.add("br = Relu(b)");
  g.pair("br", { scale: 0.0067, zero: z(0) });
  g.add("sig = Sigmoid(br_d)");
  g.pair("sig", { scale: 1 / 256, zero: z(0) });
  g.add("silu = Mul(br_d, sig_d)");
  g.pair("silu", { scale: 0.0059, zero: z(10) });
  g.add("sum = Add(silu_d, r_d)");
  g.pair("sum", { scale: 0.0103, zero: z(7) });
  g.add("mp = MaxPool(sum_d)", { kernel_shape: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1] });
  g.pair("mp", { scale: 0.0103, zero: z(7) });
  g.add("ap = AveragePool(mp_d)", { kernel_shape: [2, 2], strides: [2, 2] });
  g.pair("ap", { scale: 0.0083, zero: z(3) });
  g.integers("shape", [1, -1]);
  g.add("flat = Reshape(ap_d, shape)");
  g.pair("flat", { scale: 0.0083, zero: z(3) });
  g.add(`w_d = DequantizeLinear(${g.weights("w", [64, 10], 1, 64)})`, { axis: 1 });
  g.add("y = MatMul(flat_d, w_d)");
  return g.graph({ x: [1, 3, 8, 8] }, ["y"]);
}

/** Quantizers before convolutions only: ReLU, pools and reshapes between them have none of their own, the sum takes a convolution as it is. */
export function sparseNetwork(style: Style): Graph {
  const g = new Foreign(style, 7);
  const z = (unsigned: number): number => zero(style, unsigned);
  g.pair("x", { scale: 0.0169, zero: z(128) });
  g.convQdq("a", "x", [8, 3, 3, 3], threes);
  g.add("ar = Relu(a)");
  g.add("p = MaxPool(ar)", { kernel_shape: [2, 2], strides: [2, 2] });
  g.pair("p", { scale: 0.0071, zero: z(128) });
  g.convQdq("b", "p", [8, 8, 3, 3], threes);
  g.add("s = Add(b, p_d)");
  g.add("sr = Relu(s)");
  g.pair("sr", { scale: 0.0109, zero: z(128) });
  g.add("t = Transpose(sr_d)", { perm: [0, 2, 3, 1] });
  g.integers("shape", [1, 128]);
  g.add("flat = Reshape(t, shape)");
  g.add(`w_d = DequantizeLinear(${g.weights("w", [10, 128], 0, 128)})`, { axis: 0 });
  g.add("y = Gemm(flat, w_d)", { transB: 1 });
  g.pair("y", { scale: 0.013, zero: z(128) });
  return g.graph({ x: [1, 3, 8, 8] }, ["y_d"]);
}

/** Bytes in, arithmetic on them in the graph, softmax out. */
export function pixelNetwork(style: Style): Graph {
  const g = new Foreign(style, 9);
  const z = (unsigned: number): number => zero(style, unsigned);
  g.add("f32 = Cast(x)", { to: 1 });
  g.scalar("mean", 120);
  g.scalar("std", 64);
  g.add("c = Sub(f32, mean)");
  g.add("n = Div(c, std)");
  g.pair("n", { scale: 0.0165, zero: z(128) });
  g.convQdq("a", "n", [8, 3, 3, 3], { ...threes, strides: [2, 2] });
  g.pair("a", { scale: 0.0123, zero: z(125) });
  g.add("m = GlobalAveragePool(a_d)");
  g.pair("m", { scale: 0.0041, zero: z(120) });
  g.add("f = Flatten(m_d)", { axis: 1 });
  g.pair("f", { scale: 0.0041, zero: z(120) });
  g.add("y = Softmax(f_d)", { axis: -1 });
  g.pair("y", { scale: 1 / 256, zero: z(0) });
  return g.graph({ x: [1, 3, 8, 8] }, ["y_d"], "uint8");
}
