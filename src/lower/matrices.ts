// What transformers add to convolutional networks: products of two activations, and normalized rows.
import { roundHalfEven } from "../formats/rounding.ts";
import type { GraphNode } from "../graph/types.ts";
import { longestRow } from "../plan/check-matrices.ts";
import { type Interval, productInterval, withinInt32 } from "./accumulator.ts";
import { type Builder, noIntegerForm } from "./builder.ts";
import { requantization } from "./weighted.ts";

/** y = z_y + round(Σ (a − z_a)(b − z_b) · s_a·s_b/s_y): one rounding. */
export function lowerMatmul(b: Builder, node: GraphNode): void {
  const [left, right] = factors(b, node);
  const [x, w] = [b.value(left), b.value(right)];
  const y = b.encoding(node.outputs[0]!);
  const n = w.dims.at(-1)!;
  const interval = productInterval(differences(b, left), differences(b, right), x.dims.at(-1)!);
  withinInt32(interval, `${node.op} '${node.name}'`, "Split its inner axis.");
  const scales = new Array<number>(n).fill((x.scale[0]! * w.scale[0]!) / y.scale);
  const codes = { zero: y.zeroPoint, lo: y.lo, hi: y.hi };
  const output = b.codes(
    node.outputs[0]!,
    x.dims.map((_, axis) => axis),
  );
  b.emit({
    kernel: "matmul",
    nodes: [node.name],
    inputs: [left, right],
    output,
    requantization: requantization(b, node, scales, [interval], codes),
    accumulator: [interval.lo, interval.hi],
  });
}

/** Both factors, with the same axes before the last two. */
function factors(b: Builder, node: GraphNode): [number, number] {
  const known = b.value(b.index(node.inputs.find((name) => b.has(name))!));
  const order = known.dims.map((_, axis) => axis);
  const [left, right] = node.inputs.map((name) => (b.has(name) ? b.index(name) : b.constant(node, name, known.dims.length, order))) as [
    number,
    number,
  ];
  const [x, w] = [b.value(left).dims, b.value(right).dims];
  const fits = x.length >= 2 && x.length === w.length && x.at(-1) === w.at(-2) && x.slice(0, -2).join() === w.slice(0, -2).join();
  if (!fits || b.value(left).type !== "int8" || b.value(right).type !== "int8")
    throw noIntegerForm(node, `factors of [${x.join(", ")}] and [${w.join(", ")}]`, "as many matrices on both sides");
  return [left, right];
}

/** Codes less their zero point. */
function differences(b: Builder, index: number): Interval {
  const { zeroPoint } = b.value(index);
  const { lo, hi } = b.range(index);
  return { lo: lo - zeroPoint, hi: hi - zeroPoint };
}

/** As ops/integer/norm.ts wants its constants; beyond these bounds, and on longer rows, its 64 bits would not do. */
const mostEpsilon = 2 ** 45;
const mostGamma = 0x7fffffff;
const mostBeta = 2 ** 60;

/** The mean over the last axis goes, the deviation becomes γ, and β is added: the zero point of the input cancels. */
export function lowerLayerNormalization(b: Builder, node: GraphNode): void {
  const [x = "", scale = "", shift = ""] = node.inputs;
  const from = b.index(x);
  const rank = b.value(from).dims.length + 1;
  const axis = (Number(node.attributes.axis ?? -1) + rank) % rank;
  const n = b.value(from).dims.at(-1)!;
  if (axis !== rank - 1 || n > longestRow || node.outputs.slice(1).some((name) => name))
    throw noIntegerForm(node, `axis ${axis} of ${rank}, rows of ${n}`, `the last axis alone, of at most ${longestRow}, and one output`);
  const [gamma, beta] = [scale, shift].map((name) => b.graph.constants.get(name)?.data as Float32Array | undefined);
  if (gamma?.length !== n || (shift && beta?.length !== n))
    throw noIntegerForm(node, "scale or shift computed at run time", "constants, one for each element of a row");
  const input = b.inOrder(
    node,
    from,
    b.value(from).dims.map((_, i) => i),
  );
  const s = b.value(input).scale[0]!;
  const y = b.encoding(node.outputs[0]!);
  const epsilon = Math.max(1, roundHalfEven((Number(node.attributes.epsilon ?? 1e-5) * n * n) / (s * s)));
  const gammas = Array.from(gamma, (g) => roundHalfEven((g / y.scale) * 4096));
  const betas = Array.from(gamma, (_, i) => roundHalfEven(((beta?.[i] ?? 0) / y.scale) * 134_217_728));
  if (epsilon >= mostEpsilon || gammas.some((g) => Math.abs(g) > mostGamma) || betas.some((v) => Math.abs(v) >= mostBeta))
    throw noIntegerForm(node, `scale, shift or epsilon ${Number(node.attributes.epsilon)} far beyond the output's scale`, "smaller ones");
  const words = new Int32Array(2 * n);
  for (const [i, value] of betas.entries()) {
    const high = Math.floor(value / 4_294_967_296);
    words[2 * i] = value - high * 4_294_967_296;
    words[2 * i + 1] = high;
  }
  b.emit({
    kernel: "layernorm",
    nodes: [node.name],
    input,
    output: b.codes(node.outputs[0]!, b.value(input).order),
    epsilon,
    gamma: b.tensor(node, "gamma", Int32Array.from(gammas)),
    beta: b.tensor(node, "beta", words),
    zero: y.zeroPoint,
    lo: y.lo,
    hi: y.hi,
  });
}
