import type { Dim, Fact, GraphNode } from "../graph/types.ts";
import { convWindow } from "./conv.ts";
import { asNumbers, count, fill } from "./dtypes.ts";
import type { Operator } from "./operator.ts";
import { commonType, concrete, fact, factOf, freshDim, integer, mismatch, numbersAttribute, required, show } from "./shape.ts";
import { extent, list, positions, type Window } from "./windows.ts";

interface Geometry {
  readonly out: readonly Dim[];
  /** [before…, after…], cut from the full output. */
  readonly pads: readonly number[];
}

/** Output sizes and the padding cut away: given, or found from output_shape or auto_pad. Source: ONNX ConvTranspose. */
function geometry(node: GraphNode, w: Window, sizes: readonly Dim[]): Geometry {
  const rank = sizes.length;
  const extra = list(node, "output_padding", rank, 0, 0);
  const wanted = numbersAttribute(node, "output_shape") && list(node, "output_shape", rank, 1, 1);
  const pads = [...w.pads];
  const out = sizes.map((size, axis): Dim => {
    const stride = w.strides[axis]!;
    const same = w.auto === "SAME_UPPER" || w.auto === "SAME_LOWER";
    if (w.auto === "VALID") pads[axis] = pads[axis + rank] = 0;
    if (typeof size !== "number") return wanted?.[axis] ?? freshDim(node, axis + 2);
    const full = stride * (size - 1) + extra[axis]! + extent(w, axis);
    const target = wanted?.[axis] ?? (same ? size * stride : undefined);
    if (target === undefined) return full - pads[axis]! - pads[axis + rank]!;
    const total = Math.max(0, full - target);
    const less = Math.floor(total / 2);
    const before = w.auto === "SAME_UPPER" ? less : total - less;
    pads[axis] = before;
    pads[axis + rank] = total - before;
    return target;
  });
  if (out.some((size) => typeof size === "number" && size < 0)) throw mismatch(node, `output sizes ${show(out)}`, "sizes of 0 and more");
  return { out, pads };
}

function convTransposeDims(node: GraphNode, x: Fact, w: Fact, bias: Fact | undefined): readonly Dim[] | undefined {
  const { dims } = x;
  if (!dims) return undefined;
  if (dims.length < 3 || (w.dims && w.dims.length !== dims.length))
    throw mismatch(node, `input ${show(dims)} and weights ${show(w.dims)}`, "[N, C, spatial…] and [C, M / group, spatial…]");
  const [c, k] = [dims[1], w.dims?.[0]];
  if (typeof c === "number" && typeof k === "number" && c !== k)
    throw mismatch(node, `${c} channels and weights ${show(w.dims)}`, "equal channels");
  const inner = w.dims?.[1];
  const group = integer(node, "group", 1);
  if (!(group >= 1) || (typeof k === "number" && k % group !== 0))
    throw mismatch(node, `${k} input channels in ${group} groups`, "a multiple");
  const m = typeof inner === "number" ? inner * group : freshDim(node, 1);
  const b = bias?.dims;
  if (b && (b.length !== 1 || (typeof b[0] === "number" && typeof m === "number" && b[0] !== m)))
    throw mismatch(node, `bias ${show(b)}`, `[${m}]`);
  const window = convWindow(node, w);
  return [dims[0]!, m, ...(window ? geometry(node, window, dims.slice(2)).out : dims.slice(2).map((_, a) => freshDim(node, a + 2)))];
}

/** The transpose of Conv: each input element adds its multiple of the kernel to the output. Inputs: x, w [C, M / group, …], bias? */
const convTranspose: Operator = {
  op: "ConvTranspose",
  arity: [2, 3],
  infer(node, inputs) {
    const x = required(node, inputs, 0);
    return [fact(commonType(node, inputs), convTransposeDims(node, x, required(node, inputs, 1), inputs[2]))];
  },
  reference(node, inputs) {
    const [x, w, bias] = [required(node, inputs, 0), required(node, inputs, 1), inputs[2]];
    const dims = concrete(convTranspose.infer(node, [factOf(x), factOf(w), bias && factOf(bias)]));
    const window = convWindow(node, factOf(w))!;
    const spatial = x.dims.slice(2);
    const { pads } = geometry(node, window, spatial);
    // Position o of a window over the output's plane is input position o: Conv's index read backwards.
    const { index, outputs, taps } = positions({ ...window, pads, auto: "NOTSET" }, dims.slice(2), spatial);
    const group = integer(node, "group", 1);
    const [n, c, m, plane] = [dims[0]!, x.dims[1]!, dims[1]!, count(dims.slice(2))];
    const perGroup = m / group;
    const [from, weights, b] = [asNumbers(x), asNumbers(w), bias && asNumbers(bias)];
    const sums = new Float64Array(n * m * plane);
    for (let image = 0; image < n; image++)
      for (let channel = 0; channel < c; channel++)
        for (let k = 0; k < perGroup; k++) {
          const to = (image * m + Math.floor(channel / (c / group)) * perGroup + k) * plane;
          const row = (channel * perGroup + k) * taps;
          for (let o = 0; o < outputs; o++) {
            const value = from[(image * c + channel) * outputs + o]!;
            for (let t = 0; t < taps; t++) {
              const at = index[o * taps + t]!;
              if (at >= 0) sums[to + at]! += value * weights[row + t]!;
            }
          }
        }
    return [fill(x.dtype, dims, b ? (i) => sums[i]! + b[Math.floor(i / plane) % m]! : (i) => sums[i]!)];
  },
};

export const convTransposeOperators: readonly Operator[] = [convTranspose];
