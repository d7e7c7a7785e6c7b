// ONNX bytes → Graph. Everything a file can get wrong is found here, so that the rooms behind need not look again.

import { fromBinary } from "@bufbuild/protobuf";
import { HalftoneError } from "../errors.ts";
import { symbolOf, unknownDim } from "../graph/dims.ts";
import { checkFinite } from "../graph/finite.ts";
import { inferFacts } from "../graph/infer.ts";
import { placeOf, sortNodes } from "../graph/order.ts";
import { float32, int64s } from "../graph/tensors.ts";
import type { Dim, DType, Fact, Graph, GraphNode, Tensor } from "../graph/types.ts";
import { operators } from "../ops/registry.ts";
import { attributesOf, hasSubgraph } from "./attributes.ts";
import { type GraphProto, type ModelProto, ModelProtoSchema, type NodeProto, type ValueInfoProto } from "./onnx_pb.ts";
import { type ExternalResolver, tensorOf } from "./tensor.ts";
import { dtypeOf, numberOf } from "./types.ts";
import { type UpgradeContext, upgradeNode } from "./upgrade.ts";

/** How a model is read. */
export interface ReadOptions {
  /** Gives the bytes of files that the model names beside itself. Absent: such models are refused. */
  readonly external?: ExternalResolver | undefined;
  /**
   * "widen" (the default) computes a half-precision model in float32: float16 and bfloat16 constants, inputs and casts become float32,
   * and every constant must be finite. "keep" reads the model as it is.
   */
  readonly float16?: "widen" | "keep" | undefined;
}

const oldestOpset = 7;
const newestOpset = 27;

/**
 * The graph of a serialized ModelProto, in topological order, every operator in its newest form, types and shapes inferred.
 *
 * @throws HalftoneError ONNX_MALFORMED, GRAPH_INVALID, ONNX_UNSUPPORTED_OP (naming every such node), ONNX_UNSUPPORTED_TYPE,
 *   ONNX_EXTERNAL_DATA, SHAPE_MISMATCH, SHAPE_OVERFLOW, NOT_FINITE
 */
export function readModel(bytes: Uint8Array, options: ReadOptions = {}): Graph {
  const model = decode(bytes);
  const proto = model.graph;
  // Of a network that is one constant, only the constant is left to write.
  if (!proto || (proto.node.length === 0 && proto.initializer.length === 0)) {
    throw new HalftoneError("GRAPH_INVALID", "model", "no node", "a graph of one node or more", "Check that this file is an ONNX network.");
  }
  if (proto.output.length === 0) throw new HalftoneError("GRAPH_INVALID", "model", "no output", "a graph with an output");
  const opset = opsetOf(model);
  refuseUnsupported(proto);

  const constants = constantsOf(proto, options.external);
  const { facts: inputFacts, names: inputs } = inputsOf(proto, constants);
  const outputs = proto.output.map(({ name }) => name);
  const read = new Set([...proto.node.flatMap(({ input }) => input), ...outputs]);
  const nodes = new Importer(opset, constants, read, options.external).nodes(proto.node);
  const sorted = sortNodes(nodes, [...inputs, ...constants.keys()], outputs);
  const graph = { name: proto.name, inputs, outputs, nodes: sorted, constants, facts: inputFacts, notes: new Map() };
  if (options.float16 === "keep") return inferFacts(graph);
  const widened = widen(graph);
  checkFinite(widened);
  return inferFacts(widened);
}

function decode(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch {
    throw new HalftoneError(
      "ONNX_MALFORMED",
      "model",
      bytes.length === 0 ? "an empty file" : `${bytes.length} bytes that do not decode`,
      "a serialized ONNX model",
      "The file may be cut off, still be compressed, or be a Git LFS pointer.",
    );
  }
}

function opsetOf(model: ModelProto): number {
  const version = model.opsetImport.find(({ domain }) => isStandard(domain))?.version;
  if (version === undefined) {
    throw new HalftoneError(
      "ONNX_MALFORMED",
      "model",
      "no version of the ONNX operators",
      "an opset import",
      "Check that this file is an ONNX network.",
    );
  }
  if (version < oldestOpset || version > newestOpset) {
    throw new HalftoneError(
      "ONNX_MALFORMED",
      "model",
      `opset ${version} (IR version ${model.irVersion})`,
      `an opset from ${oldestOpset} to ${newestOpset}`,
      "Export the model with opset 17, or convert it with ONNX's version converter.",
    );
  }
  return Number(version);
}

function isStandard(domain: string): boolean {
  return domain === "" || domain === "ai.onnx";
}

/** ONNX Runtime's spelling of these in its own domain, for types that ONNX took up later. */
const borrowed: ReadonlySet<string> = new Set(["QuantizeLinear", "DequantizeLinear"]);

function isKnown({ domain, opType }: NodeProto): boolean {
  const row = operators.get(opType);
  if (isStandard(domain)) return replaced.has(opType) || (row !== undefined && !row.domain);
  return row?.domain === domain || (domain === "com.microsoft" && borrowed.has(opType));
}

/** Operators that upgrades or the importer replace. */
const replaced: ReadonlySet<string> = new Set(["Constant", "Sum", "Upsample"]);

/** @throws HalftoneError ONNX_UNSUPPORTED_OP with all nodes that nothing here can run, so that one look at the message is enough */
function refuseUnsupported(proto: GraphProto): void {
  const refused = proto.node.flatMap((node, i) => {
    return isKnown(node) && !hasSubgraph(node)
      ? []
      : [`${isStandard(node.domain) ? "" : `${node.domain}.`}${node.opType} '${nameOf(node, i)}'`];
  });
  if (refused.length === 0) return;
  const shown = refused.slice(0, 50).join(", ") + (refused.length > 50 ? ` and ${refused.length - 50} more` : "");
  throw new HalftoneError(
    "ONNX_UNSUPPORTED_OP",
    "model",
    shown,
    "supported operators only",
    "Export the model without them, or cut the graph before the first of them.",
  );
}

function nameOf(node: NodeProto, index: number): string {
  return node.name || `${node.opType}_${index}`;
}

function constantsOf(proto: GraphProto, external: ExternalResolver | undefined): Map<string, Tensor> {
  const constants = new Map<string, Tensor>();
  if (proto.sparseInitializer.length > 0) {
    throw new HalftoneError(
      "ONNX_UNSUPPORTED_TYPE",
      `constant '${proto.sparseInitializer[0]!.values?.name ?? ""}'`,
      "a sparse tensor",
      "a dense tensor",
    );
  }
  for (const initializer of proto.initializer) {
    const place = `constant '${initializer.name}'`;
    if (constants.has(initializer.name))
      throw new HalftoneError("GRAPH_INVALID", place, "a second tensor of that name", "one producer for every value");
    constants.set(initializer.name, tensorOf(initializer, place, external));
  }
  return constants;
}

/** Inputs that are also constants (files of IR version 3 list every constant so) are constants. */
function inputsOf(proto: GraphProto, constants: ReadonlyMap<string, Tensor>): { names: string[]; facts: Map<string, Fact> } {
  const facts = new Map<string, Fact>();
  for (const input of proto.input) {
    if (constants.has(input.name)) continue;
    if (facts.has(input.name))
      throw new HalftoneError("GRAPH_INVALID", `input '${input.name}'`, "a second input of that name", "one producer for every value");
    facts.set(input.name, factOf(input));
  }
  return { names: [...facts.keys()], facts };
}

function factOf({ name, type }: ValueInfoProto): Fact {
  const place = `input '${name}'`;
  if (type?.value.case !== "tensorType") {
    throw new HalftoneError("ONNX_UNSUPPORTED_TYPE", place, type?.value.case ?? "no type", "a tensor");
  }
  const { elemType, shape } = type.value.value;
  const dims = shape?.dim.map(({ value }, axis): Dim => {
    if (value.case === "dimParam" && value.value !== "") return symbolOf(value.value);
    if (value.case !== "dimValue") return unknownDim(name, axis);
    if (value.value < 0n) throw new HalftoneError("ONNX_MALFORMED", place, `the size ${value.value}`, "sizes of 0 and more");
    return Number(value.value);
  });
  return { dtype: dtypeOf(elemType, place), dims };
}

/** NodeProto → upgraded GraphNodes, with unique names; Constant nodes become constants. */
class Importer {
  readonly #constants: Map<string, Tensor>;
  readonly #external: ExternalResolver | undefined;
  readonly #context: UpgradeContext;
  readonly #names = new Set<string>();

  constructor(opset: number, constants: Map<string, Tensor>, read: ReadonlySet<string>, external: ExternalResolver | undefined) {
    this.#constants = constants;
    this.#external = external;
    this.#context = {
      opset,
      constant: (node, role, tensor) => this.#addConstant(`${node.name}/${role}`, tensor),
      find: (name) => constants.get(name),
      isUsed: (value) => read.has(value),
    };
  }

  nodes(protos: readonly NodeProto[]): GraphNode[] {
    // Constants first: an upgrade may look for one that a later node makes.
    const constantNodes = protos.map((proto, i) => proto.opType === "Constant" && this.#takeConstant(proto, i));
    return protos.flatMap((proto, i) => (constantNodes[i] ? [] : upgradeNode(this.#node(proto, i), this.#context)));
  }

  #node(proto: NodeProto, index: number): GraphNode {
    const name = this.#unique(nameOf(proto, index), this.#names);
    const place = `${proto.opType} '${name}'`;
    const node = {
      name,
      op: proto.opType,
      inputs: proto.input,
      outputs: proto.output,
      attributes: attributesOf(proto, place, this.#external),
    };
    const operator = operators.get(node.op);
    if (operator) checkArity(node, operator.arity);
    return node;
  }

  #takeConstant(proto: NodeProto, index: number): boolean {
    const place = `Constant '${nameOf(proto, index)}'`;
    const [name = ""] = proto.output;
    if (this.#constants.has(name))
      throw new HalftoneError("GRAPH_INVALID", place, `'${name}', which is a constant already`, "one producer for every value");
    this.#constants.set(name, constantValue(attributesOf(proto, place, this.#external), place));
    return true;
  }

  #addConstant(name: string, tensor: Tensor): string {
    const unique = this.#unique(name, this.#constants);
    this.#constants.set(unique, tensor);
    return unique;
  }

  #unique(name: string, taken: { has(name: string): boolean; add?(name: string): unknown }): string {
    let unique = name;
    for (let i = 2; taken.has(unique); i++) unique = `${name}_${i}`;
    taken.add?.(unique);
    return unique;
  }
}

function checkArity(node: GraphNode, [fewest, most]: readonly [number, number]): void {
  const count = node.inputs.length;
  // Older forms carry as attributes what the newest takes as inputs: too few is the upgraded node's matter.
  if (count <= most || fewest > most) return;
  throw new HalftoneError("GRAPH_INVALID", placeOf(node), `${count} inputs`, `at most ${most}`);
}

/** The value of a Constant node, in any of the forms that opsets 1, 12 and 13 gave it. */
function constantValue(attributes: GraphNode["attributes"], place: string): Tensor {
  const { value, value_float, value_floats, value_int, value_ints } = attributes;
  if (typeof value === "object" && "dtype" in value) return value;
  if (typeof value_float === "number") return float32([], [value_float]);
  if (typeof value_int === "number") return { ...int64s([value_int]), dims: [] };
  if (Array.isArray(value_floats)) return float32([value_floats.length], value_floats as number[]);
  if (Array.isArray(value_ints)) return int64s(value_ints as number[]);
  throw new HalftoneError("ONNX_UNSUPPORTED_TYPE", place, Object.keys(attributes).join(", ") || "no value", "a dense tensor of numbers");
}

const halves: ReadonlySet<DType> = new Set(["float16", "bfloat16"]);

/** Half floats are held as float32 already, so only their labels change: of constants, of inputs, of Cast targets. */
function widen(graph: Graph): Graph {
  const widenTensor = (tensor: Tensor): Tensor => (halves.has(tensor.dtype) ? { ...tensor, dtype: "float32" } : tensor);
  const widenNode = (node: GraphNode): GraphNode => {
    const { to, value } = node.attributes;
    if (node.op === "Cast" && (to === numberOf("float16") || to === numberOf("bfloat16"))) {
      return { ...node, attributes: { ...node.attributes, to: numberOf("float32") } };
    }
    if (typeof value === "object" && "dtype" in value) return { ...node, attributes: { ...node.attributes, value: widenTensor(value) } };
    return node;
  };
  return {
    ...graph,
    nodes: graph.nodes.map(widenNode),
    constants: new Map(Array.from(graph.constants, ([name, tensor]) => [name, widenTensor(tensor)])),
    facts: new Map(
      Array.from(graph.facts, ([name, fact]) => [name, halves.has(fact.dtype) ? { ...fact, dtype: "float32" as const } : fact]),
    ),
  };
}
