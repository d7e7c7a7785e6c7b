// Older forms of operators → the newest one, so that the rest of the house knows one form only.
// A row says: in opsets below `before`, `op` was written differently; `upgrade` rewrites it. Source: ONNX Changelog.md.

import { HalftoneError } from "../errors.ts";
import { placeOf } from "../graph/order.ts";
import { float32, int64s } from "../graph/tensors.ts";
import type { Attribute, GraphNode, Tensor } from "../graph/types.ts";

/** What an upgrade may ask of the importer. */
export interface UpgradeContext {
  readonly opset: number;
  /** Makes a constant named after the node and `role`; returns its name. */
  constant(node: GraphNode, role: string, tensor: Tensor): string;
  /** The constant of that name, if it is one. */
  find(name: string): Tensor | undefined;
  /** True when a node reads the value or the graph returns it. */
  isUsed(value: string): boolean;
}

interface Upgrade {
  readonly op: string;
  readonly before: number;
  upgrade(node: GraphNode, context: UpgradeContext): readonly GraphNode[];
}

/** The node without some attributes. */
function without(node: GraphNode, names: readonly string[], more: Partial<GraphNode> = {}): GraphNode {
  return { ...node, attributes: Object.fromEntries(Object.entries(node.attributes).filter(([name]) => !names.includes(name))), ...more };
}

function inputsWith(node: GraphNode, at: number, value: string): string[] {
  const inputs = [...node.inputs];
  while (inputs.length < at) inputs.push("");
  inputs[at] = value;
  return inputs;
}

/** Moves an attribute of integers to the constant input `at`. */
function listToInput(attribute: string, at: number): Upgrade["upgrade"] {
  return (node, context) => {
    const values = node.attributes[attribute];
    if (!Array.isArray(values)) return [node];
    const name = context.constant(node, attribute, int64s(values as number[]));
    return [without(node, [attribute], { inputs: inputsWith(node, at, name) })];
  };
}

const scalar = (value: number): Tensor => float32([], [value]);

function clip(node: GraphNode, context: UpgradeContext): GraphNode[] {
  let inputs: readonly string[] = node.inputs;
  for (const [at, name] of ["min", "max"].entries()) {
    const bound = node.attributes[name];
    if (typeof bound === "number") inputs = inputsWith({ ...node, inputs }, at + 1, context.constant(node, name, scalar(bound)));
  }
  return [without(node, ["min", "max"], { inputs })];
}

function pad(node: GraphNode, context: UpgradeContext): GraphNode[] {
  const { pads, value } = node.attributes;
  let inputs = inputsWith(node, 1, context.constant(node, "pads", int64s((pads as readonly number[] | undefined) ?? [])));
  if (typeof value === "number" && value !== 0) inputs = inputsWith({ ...node, inputs }, 2, context.constant(node, "value", scalar(value)));
  return [without(node, ["pads", "value"], { inputs })];
}

function slice(node: GraphNode, context: UpgradeContext): GraphNode[] {
  let inputs: readonly string[] = node.inputs;
  for (const [at, name] of ["starts", "ends", "axes"].entries()) {
    const values = node.attributes[name];
    if (Array.isArray(values)) inputs = inputsWith({ ...node, inputs }, at + 1, context.constant(node, name, int64s(values as number[])));
  }
  return [without(node, ["starts", "ends", "axes"], { inputs })];
}

/** Before opset 13 the input was flattened to two axes at `axis`, and the sum ran over all of the second. */
function softmax(node: GraphNode): GraphNode[] {
  const axis = (node.attributes.axis as number | undefined) ?? 1;
  const [x, y] = [node.inputs[0] ?? "", node.outputs[0] ?? ""];
  if (axis === -1) return [node];
  const [shape, flat, soft] = [`${y}/shape`, `${y}/flat`, `${y}/soft`];
  return [
    { name: `${node.name}/shape`, op: "Shape", inputs: [x], outputs: [shape], attributes: {} },
    { name: `${node.name}/flat`, op: "Flatten", inputs: [x], outputs: [flat], attributes: { axis } },
    { ...node, inputs: [flat], outputs: [soft], attributes: { axis: -1 } },
    { name: `${node.name}/reshape`, op: "Reshape", inputs: [soft, shape], outputs: [y], attributes: { allowzero: 1 } },
  ];
}

/** Opset 9 took scales as an input, opset 7 as an attribute; sampling was asymmetric, rounded down. */
function upsample(node: GraphNode, context: UpgradeContext): GraphNode[] {
  const list = node.attributes.scales;
  const scales = Array.isArray(list) ? context.constant(node, "scales", float32([list.length], list as number[])) : (node.inputs[1] ?? "");
  return resizeWithScales(node, scales);
}

function resizeWithScales(node: GraphNode, scales: string): GraphNode[] {
  const attributes: Record<string, Attribute> = {
    mode: node.attributes.mode ?? "nearest",
    coordinate_transformation_mode: "asymmetric",
    nearest_mode: "floor",
  };
  return [{ ...node, op: "Resize", inputs: [node.inputs[0] ?? "", "", scales], attributes }];
}

/** An empty `roi` or `scales` tensor means the same as an absent one. */
function resizeEmptyInputs(node: GraphNode, context: UpgradeContext): GraphNode[] {
  const inputs = node.inputs.map((name, i) => (i > 0 && context.find(name)?.data.length === 0 ? "" : name));
  return [{ ...node, inputs }];
}

/** Only inference: the running statistics and masks that training returned beside the result have no reader. */
function batchNormalization(node: GraphNode, context: UpgradeContext): GraphNode[] {
  if (node.attributes.spatial === 0) {
    throw new HalftoneError(
      "ONNX_UNSUPPORTED_OP",
      placeOf(node),
      "spatial = 0",
      "statistics per channel",
      "Export the model with opset 9 or newer.",
    );
  }
  const extra = node.outputs.slice(1).find((value) => value && context.isUsed(value));
  if (extra !== undefined) {
    throw new HalftoneError(
      "ONNX_UNSUPPORTED_OP",
      placeOf(node),
      `a use of the training output '${extra}'`,
      "inference only",
      "Export the model in evaluation mode.",
    );
  }
  return [without(node, ["spatial", "consumed_inputs", "is_test"], { outputs: node.outputs.slice(0, 1) })];
}

function split(node: GraphNode, context: UpgradeContext): GraphNode[] {
  const [moved] = listToInput("split", 1)(node, context);
  if (moved!.inputs[1]) return [moved!];
  return [{ ...moved!, attributes: { ...moved!.attributes, num_outputs: node.outputs.length } }];
}

/** Sum of any number of values: a chain of Add, in order. */
function sum(node: GraphNode): GraphNode[] {
  if (node.inputs.length === 1) return [{ ...node, op: "Identity" }];
  let left = node.inputs[0] ?? "";
  return node.inputs.slice(1).map((right, i, rest) => {
    const last = i === rest.length - 1;
    const output = last ? (node.outputs[0] ?? "") : `${node.outputs[0]}/sum_${i}`;
    const add: GraphNode = {
      name: last ? node.name : `${node.name}/${i}`,
      op: "Add",
      inputs: [left, right],
      outputs: [output],
      attributes: {},
    };
    left = output;
    return add;
  });
}

const always = Number.POSITIVE_INFINITY;

/** In ascending order of `before` for each operator; several may apply, one after the other. */
const upgrades: readonly Upgrade[] = [
  { op: "BatchNormalization", before: 14, upgrade: batchNormalization },
  { op: "Clip", before: 11, upgrade: clip },
  { op: "Dropout", before: 12, upgrade: (node) => [without(node, ["ratio", "seed", "is_test"])] },
  { op: "LogSoftmax", before: 13, upgrade: softmax },
  { op: "Pad", before: 11, upgrade: pad },
  ...[
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceLogSum",
    "ReduceLogSumExp",
  ].map((op): Upgrade => ({ op, before: 18, upgrade: listToInput("axes", 1) })),
  { op: "ReduceSum", before: 13, upgrade: listToInput("axes", 1) },
  { op: "Resize", before: 11, upgrade: (node) => resizeWithScales(node, node.inputs[1] ?? "") },
  { op: "Resize", before: always, upgrade: resizeEmptyInputs },
  { op: "Slice", before: 10, upgrade: slice },
  { op: "Softmax", before: 13, upgrade: softmax },
  { op: "Split", before: 18, upgrade: split },
  { op: "Squeeze", before: 13, upgrade: listToInput("axes", 1) },
  { op: "Sum", before: always, upgrade: sum },
  { op: "Unsqueeze", before: 13, upgrade: listToInput("axes", 1) },
  { op: "Upsample", before: always, upgrade: upsample },
];

/** The node in the newest form: itself, or the nodes that say the same. Their last one keeps the node's name. */
export function upgradeNode(node: GraphNode, context: UpgradeContext): readonly GraphNode[] {
  let nodes: readonly GraphNode[] = [node];
  for (const { op, before, upgrade } of upgrades) {
    if (context.opset < before) nodes = nodes.flatMap((each) => (each.op === op ? upgrade(each, context) : [each]));
  }
  return nodes;
}
