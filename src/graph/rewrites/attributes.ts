// One spelling for each meaning: defaults written out, axes counted from 0, paddings in numbers.

import { isKnown } from "../dims.ts";
import { type Editor, rewriteEach } from "../editor.ts";
import type { Attribute, Dim, GraphNode, Rewrite } from "../types.ts";

type Attributes = Readonly<Record<string, Attribute>>;

/** Defaults of the ONNX operators; floats as float32 holds them. */
const defaults: Readonly<Record<string, Attributes>> = {
  Gemm: { alpha: 1, beta: 1, transA: 0, transB: 0 },
  Softmax: { axis: -1 },
  LogSoftmax: { axis: -1 },
  Gather: { axis: 0 },
  Split: { axis: 0 },
  Concat: {},
  LayerNormalization: { axis: -1, epsilon: Math.fround(1e-5) },
  BatchNormalization: { epsilon: Math.fround(1e-5) },
  InstanceNormalization: { epsilon: Math.fround(1e-5) },
  ReduceMean: { keepdims: 1 },
  ReduceSum: { keepdims: 1 },
  ReduceMax: { keepdims: 1 },
  LeakyRelu: { alpha: Math.fround(0.01) },
  Elu: { alpha: 1 },
  HardSigmoid: { alpha: Math.fround(0.2), beta: 0.5 },
  Swish: { alpha: 1 },
  Gelu: { approximate: "none" },
  Pad: { mode: "constant" },
  DepthToSpace: { mode: "DCR" },
};

/** Attributes that mean nothing in inference, with the value at which they mean nothing. */
const idle: Readonly<Record<string, Attributes>> = {
  BatchNormalization: { training_mode: 0 },
  LayerNormalization: { stash_type: 1 },
  MaxPool: { storage_order: 0 },
};

const withAxis: ReadonlySet<string> = new Set(["Softmax", "LogSoftmax", "Gather", "Split", "Concat", "LayerNormalization"]);

/** Defaults become visible and negative axes positive, so that equal nodes look equal. */
export const explicitAttributes: Rewrite = rewriteEach(
  "explicit-attributes",
  [...Object.keys(defaults), "MaxPool", "Transpose"],
  (node, edit) => {
    const rank = edit.fact(node.inputs[0])?.dims?.length;
    const attributes: Record<string, Attribute> = { ...defaults[node.op], ...node.attributes };
    for (const [name, value] of Object.entries(idle[node.op] ?? {})) if (attributes[name] === value) delete attributes[name];
    if (node.op === "BatchNormalization") delete attributes.momentum;
    const { axis } = attributes;
    if (withAxis.has(node.op) && typeof axis === "number" && rank !== undefined) attributes.axis = axis < 0 ? axis + rank : axis;
    if (node.op === "Transpose" && rank !== undefined) attributes.perm ??= Array.from({ length: rank }, (_, i) => rank - 1 - i);
    setAttributes(node, attributes, edit);
  },
);

/** Windows (Conv, ConvTranspose, MaxPool, AveragePool) with kernel, strides, dilations and pads in numbers; `auto_pad` goes where sizes are known. */
export const explicitWindows: Rewrite = rewriteEach(
  "explicit-windows",
  ["Conv", "ConvTranspose", "MaxPool", "AveragePool"],
  (node, edit) => {
    const dims = edit.fact(node.inputs[0])?.dims;
    const weight = node.op.startsWith("Conv") ? edit.fact(node.inputs[1])?.dims?.slice(2) : undefined;
    const kernel = (node.attributes.kernel_shape as number[] | undefined) ?? weight;
    if (!dims || !kernel?.every(isKnown) || kernel.length !== dims.length - 2 || node.attributes.output_shape) return;
    const each = (value: number, length = kernel.length): number[] => new Array<number>(length).fill(value);
    const strides = list(node, "strides") ?? each(1);
    const dilations = list(node, "dilations") ?? each(1);
    const pads = padsOf(node, dims.slice(2), kernel, strides, dilations);
    if (!pads) return;
    const attributes: Record<string, Attribute> = { ...node.attributes, kernel_shape: kernel, strides, dilations, pads };
    delete attributes.auto_pad;
    if (node.op.startsWith("Conv")) attributes.group ??= 1;
    else attributes.ceil_mode ??= 0;
    if (node.op === "AveragePool") attributes.count_include_pad ??= 0;
    // Without padding it makes no difference; `ceil_mode` would reach beyond the edge all the same.
    if (node.op === "AveragePool" && attributes.ceil_mode === 0 && pads.every((pad) => pad === 0)) attributes.count_include_pad = 0;
    if (node.op === "ConvTranspose") attributes.output_padding ??= each(0);
    setAttributes(node, attributes, edit);
  },
);

function list(node: GraphNode, name: string): readonly number[] | undefined {
  return node.attributes[name] as readonly number[] | undefined;
}

/** Begins then ends, as ONNX orders them; undefined where `auto_pad` depends on a size that is not known. */
function padsOf(
  node: GraphNode,
  sizes: readonly Dim[],
  kernel: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
): readonly number[] | undefined {
  const mode = node.attributes.auto_pad ?? "NOTSET";
  const none = new Array<number>(2 * kernel.length).fill(0);
  if (mode === "NOTSET") return list(node, "pads") ?? none;
  if (mode === "VALID") return none;
  if (node.op === "ConvTranspose" || !sizes.every(isKnown)) return undefined;
  const totals = kernel.map((k, i) => {
    const positions = Math.ceil(sizes[i]! / strides[i]!);
    return Math.max((positions - 1) * strides[i]! + (k - 1) * dilations[i]! + 1 - sizes[i]!, 0);
  });
  const small = totals.map((total) => Math.floor(total / 2));
  const large = totals.map((total, i) => total - small[i]!);
  return mode === "SAME_UPPER" ? [...small, ...large] : [...large, ...small];
}

/** Puts new attributes on a node unless they are the old ones; keys are sorted. */
export function setAttributes(node: GraphNode, attributes: Attributes, edit: Editor): void {
  const sorted = Object.fromEntries(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)));
  if (JSON.stringify(sorted) !== JSON.stringify(node.attributes)) edit.replace(node, { ...node, attributes: sorted });
}
