// Conv and its integer form. The meaning: products summed in float64 in the order of the weights, then the bias, rounded once.
import { areKnown } from "../graph/dims.ts";
import type { Dim, Fact, GraphNode, Tensor } from "../graph/types.ts";
import { asNumbers, count, fill } from "./dtypes.ts";
import type { Operator } from "./operator.ts";
import { commonType, concrete, fact, factOf, freshDim, integer, mismatch, numbersAttribute, required, show } from "./shape.ts";
import { outputSize, positions, type Window, windowOf } from "./windows.ts";

/** The window of a convolution; undefined when the kernel's size is unknown. */
export function convWindow(node: GraphNode, weight: Fact): Window | undefined {
  const kernel = numbersAttribute(node, "kernel_shape") ?? weight.dims?.slice(2);
  if (!areKnown(kernel)) return undefined;
  const other = weight.dims?.slice(2);
  if (areKnown(other) && show(other) !== show(kernel))
    throw mismatch(node, `kernel_shape ${show(kernel)} and weights ${show(weight.dims)}`, "equal sizes");
  return windowOf(node, kernel);
}

/**
 * Sizes of Conv: x [N, C, …] with w [M, C / group, …] gives [N, M, …].
 * @throws HalftoneError SHAPE_MISMATCH
 */
export function convDims(node: GraphNode, x: Fact, w: Fact, bias: Fact | undefined): readonly Dim[] | undefined {
  const { dims } = x;
  if (!dims) return undefined;
  const rank = w.dims?.length ?? dims.length;
  if (dims.length < 3 || rank !== dims.length)
    throw mismatch(node, `input ${show(dims)} and weights ${show(w.dims)}`, "[N, C, spatial…] and [M, C / group, spatial…]");
  const group = integer(node, "group", 1);
  const [c, m, inner] = [dims[1], w.dims?.[0] ?? freshDim(node, 1), w.dims?.[1]];
  if (typeof c === "number" && typeof inner === "number" && c !== inner * group)
    throw mismatch(node, `${c} channels and weights ${show(w.dims)}`, `${inner} · group ${group} channels`);
  if (!(Number.isInteger(group) && group >= 1) || (typeof m === "number" && m % group !== 0))
    throw mismatch(node, `${m} output channels in ${group} groups`, "a multiple");
  const b = bias?.dims;
  if (b && (b.length !== 1 || (typeof b[0] === "number" && typeof m === "number" && b[0] !== m)))
    throw mismatch(node, `bias ${show(b)}`, `[${m}]`);
  const window = convWindow(node, w);
  const spatial = dims.slice(2).map((size, axis) => (window ? outputSize(node, window, size, axis) : freshDim(node, axis + 2)));
  return [dims[0]!, m, ...spatial];
}

/**
 * Sums of a convolution in float64: element (n, m, o) is Σ x · w, exact for integers while |Σ| < 2⁵³.
 *
 * @param x [N, C, spatial…]  @param w [M, C / group, kernel…]
 */
export function convSums(
  node: GraphNode,
  x: ArrayLike<number>,
  xDims: readonly number[],
  w: ArrayLike<number>,
  wDims: readonly number[],
  out: readonly number[],
): Float64Array {
  const window = convWindow(node, { dtype: "float32", dims: wDims })!;
  const { index, outputs, taps } = positions(window, xDims.slice(2), out.slice(2));
  const group = integer(node, "group", 1);
  const [n, c] = [xDims[0]!, xDims[1]!];
  const [m, inner] = [wDims[0]!, wDims[1]!];
  const plane = count(xDims.slice(2));
  const perGroup = m / group;
  const sums = new Float64Array(n * m * outputs);
  for (let image = 0; image < n; image++)
    for (let channel = 0; channel < m; channel++) {
      const first = image * c + Math.floor(channel / perGroup) * inner;
      const to = (image * m + channel) * outputs;
      for (let o = 0; o < outputs; o++) {
        let sum = 0;
        for (let k = 0; k < inner; k++) {
          const from = (first + k) * plane;
          const row = (channel * inner + k) * taps;
          for (let t = 0; t < taps; t++) {
            const at = index[o * taps + t]!;
            if (at >= 0) sum += x[from + at]! * w[row + t]!;
          }
        }
        sums[to + o] = sum;
      }
    }
  return sums;
}

/** Inputs: x, w, bias? */
const conv: Operator = {
  op: "Conv",
  arity: [2, 3],
  infer(node, inputs) {
    const x = required(node, inputs, 0);
    return [fact(commonType(node, inputs), convDims(node, x, required(node, inputs, 1), inputs[2]))];
  },
  reference(node, inputs) {
    const [x, w, bias] = [required(node, inputs, 0), required(node, inputs, 1), inputs[2]];
    const dims = concrete(conv.infer(node, [factOf(x), factOf(w), bias && factOf(bias)]));
    const sums = convSums(node, asNumbers(x), x.dims, asNumbers(w), w.dims, dims);
    const plane = count(dims.slice(2));
    const b = bias && asNumbers(bias);
    return [fill(x.dtype, dims, b ? (i) => sums[i]! + b[Math.floor(i / plane) % dims[1]!]! : (i) => sums[i]!)];
  },
};

/** Codes less their zero point; the point is one number, or one per index of axis 0 (weights). */
export function centered(x: Tensor, zero: Tensor | undefined, inner: number): ArrayLike<number> {
  const data = asNumbers(x);
  if (!zero) return data;
  const z = asNumbers(zero);
  const period = z.length;
  return Float64Array.from({ length: data.length }, (_, i) => data[i]! - z[period === 1 ? 0 : Math.floor(i / inner) % period]!);
}

/** Inputs: x, w, x zero point?, w zero point? (one or per output channel). Padding is the zero point. */
const convInteger: Operator = {
  op: "ConvInteger",
  arity: [2, 4],
  infer: (node, inputs) => [fact("int32", convDims(node, required(node, inputs, 0), required(node, inputs, 1), undefined))],
  reference(node, inputs) {
    const [x, w] = [required(node, inputs, 0), required(node, inputs, 1)];
    const dims = concrete(convInteger.infer(node, [factOf(x), factOf(w)]));
    const sums = convSums(node, centered(x, inputs[2], 1), x.dims, centered(w, inputs[3], count(w.dims.slice(1))), w.dims, dims);
    return [fill("int32", dims, (i) => sums[i]!)];
  },
};

export const convOperators: readonly Operator[] = [conv, convInteger];
