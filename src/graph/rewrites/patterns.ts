// Functions that exporters spell out in simpler operators, put together again.

import { type Editor, rewriteEach } from "../editor.ts";
import { float32, numbersOf } from "../tensors.ts";
import type { GraphNode, Rewrite, Tensor } from "../types.ts";
import { reducedAxes } from "./lists.ts";

/** The single number of a constant, whatever its rank. */
function numberOf(edit: Editor, name: string | undefined): number | undefined {
  const tensor = edit.constant(name);
  return tensor?.dtype === "float32" && tensor.data.length === 1 ? Number(tensor.data[0]) : undefined;
}

/** A spelled-out constant such as √2 is written with as many digits as its author liked. */
function isNear(value: number | undefined, wanted: number): boolean {
  return value !== undefined && Math.abs(value - wanted) <= 1e-6 * Math.abs(wanted);
}

/** The other input of a node of two. */
function other(node: GraphNode, value: string): string {
  return node.inputs[node.inputs[0] === value ? 1 : 0]!;
}

/** The only reader of the value when it is a node of that kind. */
function onlyReader(edit: Editor, value: string | undefined, op: string): GraphNode | undefined {
  const reader = edit.onlyReader(value);
  return reader?.op === op ? reader : undefined;
}

/** First axis of a mean over all trailing axes, kept: the one over which LayerNormalization runs. */
function trailingMean(node: GraphNode | undefined, edit: Editor): number | undefined {
  if (node?.op !== "ReduceMean" || node.attributes.keepdims === 0) return undefined;
  const axes = reducedAxes(node, edit);
  const rank = edit.fact(node.inputs[0])?.dims?.length ?? 0;
  const trailing = axes?.every((axis, i) => axis === rank - axes.length + i);
  return trailing && axes && axes.length > 0 ? axes[0] : undefined;
}

/** True when the node squares `value`. */
function squares(node: GraphNode | undefined, value: string, edit: Editor): boolean {
  if (node?.op === "Mul") return node.inputs[0] === value && node.inputs[1] === value;
  return node?.op === "Pow" && node.inputs[0] === value && numberOf(edit, node.inputs[1]) === 2;
}

/**
 * d / √(mean(d²) + ε) with d = x − mean(x) is LayerNormalization; a Mul and an Add of constants of the normalized size after it are
 * its scale and bias. Ba, Kiros & Hinton 2016, eq. 3–4.
 */
export const layerNormalization: Rewrite = rewriteEach("layer-normalization", ["Div"], (node, edit) => {
  const [d = "", root] = node.inputs;
  const sub = edit.producer(d);
  const sum = edit.producer(edit.ownProducer(root, "Sqrt")?.inputs[0]);
  const variance = edit.producer(sum?.inputs[0]);
  const square = edit.producer(variance?.inputs[0]);
  const epsilon = numberOf(edit, sum?.inputs[1]);
  const [x = "", mean] = sub?.inputs ?? [];
  const axis = trailingMean(edit.producer(mean), edit);
  if (sub?.op !== "Sub" || sum?.op !== "Add" || epsilon === undefined || axis === undefined) return;
  if (edit.producer(mean)?.inputs[0] !== x || trailingMean(variance, edit) !== axis || !isSquare(square, d, x, mean!, edit)) return;
  const sizes = edit.fact(x)?.dims?.slice(axis);
  if (!sizes?.every((size) => typeof size === "number")) return;
  absorbScaleAndBias(node, x, { axis, epsilon }, sizes, edit);
});

/** d², where d may have been computed twice. */
function isSquare(square: GraphNode | undefined, d: string, x: string, mean: string, edit: Editor): boolean {
  const base = square?.inputs[0] ?? "";
  const twin = edit.producer(base);
  const isD =
    base === d ||
    (twin?.op === "Sub" &&
      twin.inputs[0] === x &&
      edit.producer(twin.inputs[1])?.op === "ReduceMean" &&
      sameMean(twin.inputs[1]!, mean, edit));
  return isD && squares(square, base, edit);
}

function sameMean(a: string, b: string, edit: Editor): boolean {
  const [p, q] = [edit.producer(a), edit.producer(b)];
  return (
    a === b || (p?.inputs[0] === q?.inputs[0] && p !== undefined && q !== undefined && trailingMean(p, edit) === trailingMean(q, edit))
  );
}

function absorbScaleAndBias(
  node: GraphNode,
  x: string,
  attributes: { axis: number; epsilon: number },
  sizes: readonly number[],
  edit: Editor,
): void {
  const spans = (name: string | undefined): Tensor | undefined => {
    const tensor = edit.constant(name);
    return tensor?.dtype === "float32" && String(tensor.dims) === String(sizes) ? tensor : undefined;
  };
  const follower = (value: string | undefined, op: string): GraphNode | undefined => {
    const reader = onlyReader(edit, value, op);
    return reader && spans(other(reader, value!)) ? reader : undefined;
  };
  const mul = follower(node.outputs[0], "Mul");
  const add = follower((mul ?? node).outputs[0], "Add");
  const last = add ?? mul ?? node;
  const count = sizes.reduce((product, size) => product * size, 1);
  const scale = mul
    ? other(mul, node.outputs[0]!)
    : edit.addConstant(`${node.name}/scale`, float32(sizes, new Float32Array(count).fill(1)));
  const bias = add ? [other(add, (mul ?? node).outputs[0]!)] : [];
  for (const each of new Set([add, mul])) if (each) edit.replace(each);
  edit.replace(node, { ...node, op: "LayerNormalization", inputs: [x, scale, ...bias], outputs: last.outputs, attributes });
}

/** ½·x·(1 + erf(x / √2)), its three factors in any order, is Gelu. Hendrycks & Gimpel 2016. */
export const gelu: Rewrite = rewriteEach("gelu", ["Erf"], (node, edit) => {
  const divided = edit.producer(node.inputs[0]);
  const constant = numberOf(edit, divided?.inputs[1]);
  const isScaled = divided?.op === "Div" ? isNear(constant, Math.SQRT2) : divided?.op === "Mul" && isNear(constant, Math.SQRT1_2);
  if (isScaled) replaceGate(node, divided!.inputs[0]!, "none", edit);
});

/** ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))) is Gelu's approximation, x³ by Pow or by Mul. */
export const geluTanh: Rewrite = rewriteEach("gelu-tanh", ["Tanh"], (node, edit) => {
  const scaled = edit.producer(node.inputs[0]);
  const sum = edit.producer(scaled?.inputs[0]);
  if (scaled?.op !== "Mul" || sum?.op !== "Add" || !isNear(numberOf(edit, scaled.inputs[1]), 0.7978845608028654)) return;
  for (const [at, x] of sum.inputs.entries()) {
    const cubic = edit.producer(sum.inputs[1 - at]);
    if (cubic?.op !== "Mul" || !isNear(numberOf(edit, cubic.inputs[1]), 0.044715)) continue;
    if (cubes(edit.producer(cubic.inputs[0]), x, edit)) replaceGate(node, x, "tanh", edit);
  }
});

/** True when the node is x³. */
function cubes(node: GraphNode | undefined, x: string, edit: Editor): boolean {
  if (node?.op === "Pow") return node.inputs[0] === x && numberOf(edit, node.inputs[1]) === 3;
  return node?.op === "Mul" && node.inputs.includes(x) && squares(edit.producer(other(node, x)), x, edit);
}

/** Replaces ½·x·(1 + gate), its three factors in any order, by Gelu. */
function replaceGate(gate: GraphNode, x: string, approximate: string, edit: Editor): void {
  const add = onlyReader(edit, gate.outputs[0], "Add");
  const first = onlyReader(edit, add?.outputs[0], "Mul");
  if (!add || !first || numberOf(edit, other(add, gate.outputs[0]!)) !== 1) return;
  const factor = other(first, add.outputs[0]!);
  const last = halfTimes(factor, x, edit) ? first : onlyReader(edit, first.outputs[0], "Mul");
  if (!last) return;
  if (last !== first) {
    const rest = other(last, first.outputs[0]!);
    const complete = factor === x ? isNear(numberOf(edit, rest), 0.5) : rest === x && isNear(numberOf(edit, factor), 0.5);
    if (!complete) return;
  }
  edit.replace(last, { name: last.name, op: "Gelu", inputs: [x], outputs: last.outputs, attributes: { approximate } });
}

/** True when the value is x / 2. */
function halfTimes(value: string, x: string, edit: Editor): boolean {
  const node = edit.producer(value);
  return node?.op === "Mul" && node.inputs[0] === x && isNear(numberOf(edit, node.inputs[1]), 0.5);
}

/** x · sigmoid(x) is Swish; x · hardSigmoid(x) with slope 1/6 and offset 1/2 is HardSwish. Ramachandran et al. 2017; Howard et al. 2019. */
export const swish: Rewrite = rewriteEach("swish", ["Mul"], (node, edit) => {
  for (const value of node.inputs) {
    const gate = edit.producer(value);
    const x = other(node, value);
    if (gate?.inputs[0] !== x || edit.onlyReader(value) !== node) continue;
    if (gate.op === "Sigmoid") edit.replace(node, { ...node, op: "Swish", inputs: [x], attributes: { alpha: 1 } });
    else if (gate.op === "HardSigmoid" && isNear(gate.attributes.alpha as number, 1 / 6) && gate.attributes.beta === 0.5) {
      edit.replace(node, { ...node, op: "HardSwish", inputs: [x], attributes: {} });
    } else continue;
    return;
  }
});

/** Clip(x + 3, 0, 6) is 6 · hardSigmoid(x), whose slope is 1/6: x times it, divided by 6 before or after, is HardSwish. */
export const hardSwish: Rewrite = rewriteEach("hard-swish", ["Clip"], (node, edit) => {
  const add = edit.producer(node.inputs[0]);
  const x = add?.inputs[0];
  if (add?.op !== "Add" || !x || numberOf(edit, add.inputs[1]) !== 3) return;
  if (numberOf(edit, node.inputs[1]) !== 0 || numberOf(edit, node.inputs[2]) !== 6) return;
  const first = edit.onlyReader(node.outputs[0]);
  const last = first && edit.onlyReader(first.outputs[0]);
  if (!first || !last) return;
  const multiplies = (mul: GraphNode, value: string): boolean => mul.op === "Mul" && other(mul, value) === x;
  const divides = (by: GraphNode): boolean =>
    by.op === "Div" ? numberOf(edit, by.inputs[1]) === 6 : by.op === "Mul" && isNear(numberOf(edit, by.inputs[1]), 1 / 6);
  const complete =
    (multiplies(first, node.outputs[0]!) && divides(last)) ||
    (divides(first) && first.inputs[0] === node.outputs[0] && multiplies(last, first.outputs[0]!));
  if (complete) edit.replace(last, { name: last.name, op: "HardSwish", inputs: [x], outputs: last.outputs, attributes: {} });
});

/** Pow by a constant 2 is x · x: as exact, and cheaper. */
export const plainPowers: Rewrite = rewriteEach("plain-powers", ["Pow"], (node, edit) => {
  const [x = "", exponent] = node.inputs;
  const tensor = edit.constant(exponent);
  if (
    edit.fact(x)?.dtype !== "float32" ||
    !tensor ||
    tensor.data.length !== 1 ||
    edit.fact(x)?.dims?.length !== edit.fact(node.outputs[0])?.dims?.length
  )
    return;
  const [power] = numbersOf(tensor);
  if (power === 2) edit.replace(node, { ...node, op: "Mul", inputs: [x, x] });
});
