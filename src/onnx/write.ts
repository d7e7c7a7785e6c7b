// Graph → ONNX bytes.

import { create, toBinary } from "@bufbuild/protobuf";
import { isKnown } from "../graph/dims.ts";
import type { Attribute, Fact, Graph, GraphNode } from "../graph/types.ts";
import { operators } from "../ops/registry.ts";
import {
  type AttributeProto,
  AttributeProto_AttributeType as Kind,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "./onnx_pb.ts";
import { protoOf } from "./tensor.ts";
import { numberOf } from "./types.ts";

/** Opset and IR version of written files: what runtimes of the last years read, with int4 and per-block scales. */
const opset = 21;
const irVersion = 10;

/** Attributes that ONNX declares as floats; every other number is an integer. */
const floatAttributes: ReadonlySet<string> = new Set([
  "alpha",
  "beta",
  "gamma",
  "epsilon",
  "momentum",
  "bias",
  "lambd",
  "cubic_coeff_a",
  "extrapolation_value",
]);

/** Operators newer than the opset we write, in older ones. */
const spelledOut: Readonly<Record<string, (node: GraphNode) => GraphNode[]>> = {
  Swish(node) {
    const [x = "", y = ""] = [node.inputs[0], node.outputs[0]];
    const { alpha = 1 } = node.attributes;
    if (alpha !== 1) return [node];
    const gate = `${y}/sigmoid`;
    return [
      { name: `${node.name}/sigmoid`, op: "Sigmoid", inputs: [x], outputs: [gate], attributes: {} },
      { ...node, op: "Mul", inputs: [x, gate], attributes: {} },
    ];
  },
};

/**
 * A serialized ModelProto of the graph, at opset 21. Symbolic sizes are written as named dimensions; notes are not written.
 * The inverse of readModel for graphs that it made.
 */
export function writeModel(graph: Graph): Uint8Array {
  const nodes = graph.nodes.flatMap((node) => spelledOut[node.op]?.(node) ?? [node]);
  const newer = nodes.some(({ op }) => op === "Swish" || op === "RMSNormalization");
  const proto = create(GraphProtoSchema, {
    name: graph.name || "graph",
    node: nodes.map(({ name, op, inputs, outputs, attributes }) =>
      create(NodeProtoSchema, {
        name,
        opType: op,
        domain: operators.get(op)?.domain ?? "",
        input: [...inputs],
        output: [...outputs],
        attribute: Object.entries(attributes).map(([key, value]) => attributeProto(key, value)),
      }),
    ),
    initializer: Array.from(graph.constants, ([name, tensor]) => protoOf(name, tensor)),
    input: graph.inputs.map((name) => valueInfo(name, graph.facts.get(name))),
    output: graph.outputs.map((name) => valueInfo(name, graph.facts.get(name))),
  });
  const model = create(ModelProtoSchema, {
    irVersion: BigInt(irVersion),
    producerName: "halftone",
    opsetImport: [
      create(OperatorSetIdProtoSchema, { domain: "", version: BigInt(newer ? 24 : opset) }),
      ...domainsOf(nodes).map((domain) => create(OperatorSetIdProtoSchema, { domain, version: 1n })),
    ],
    graph: proto,
  });
  return toBinary(ModelProtoSchema, model);
}

/** Domains besides ONNX's own. */
function domainsOf(nodes: readonly GraphNode[]): string[] {
  return [...new Set(nodes.flatMap(({ op }) => operators.get(op)?.domain ?? []))].sort();
}

const text = new TextEncoder();

function attributeProto(name: string, value: Attribute): AttributeProto {
  const isFloat = floatAttributes.has(name);
  if (typeof value === "number") {
    return create(AttributeProtoSchema, isFloat ? { name, type: Kind.FLOAT, f: value } : { name, type: Kind.INT, i: BigInt(value) });
  }
  if (typeof value === "string") return create(AttributeProtoSchema, { name, type: Kind.STRING, s: bytesOf(value) });
  if ("dtype" in value) return create(AttributeProtoSchema, { name, type: Kind.TENSOR, t: protoOf("", value) });
  if (value.every((each) => typeof each === "string")) {
    if (value.length > 0) return create(AttributeProtoSchema, { name, type: Kind.STRINGS, strings: value.map(bytesOf) });
  }
  return create(AttributeProtoSchema, { name, type: Kind.INTS, ints: (value as readonly number[]).map(BigInt) });
}

function bytesOf(value: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.encode(value));
}

/** The declared type of an input or output; without dims where even the rank is unknown. */
function valueInfo(name: string, fact: Fact | undefined): ValueInfoProto {
  const dim = fact?.dims?.map((size) =>
    create(TensorShapeProto_DimensionSchema, {
      value: isKnown(size) ? { case: "dimValue", value: BigInt(size) } : { case: "dimParam", value: size },
    }),
  );
  const shape = dim && create(TensorShapeProtoSchema, { dim });
  const value = create(TypeProto_TensorSchema, { elemType: numberOf(fact?.dtype ?? "float32"), shape });
  return create(ValueInfoProtoSchema, { name, type: create(TypeProtoSchema, { value: { case: "tensorType", value } }) });
}
