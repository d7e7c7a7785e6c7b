import { create, toBinary } from "@bufbuild/protobuf";
import {
  type AttributeProto,
  AttributeProto_AttributeType as Kind,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  type TensorProto,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "../../src/onnx/onnx_pb.ts";
import { protoOf } from "../../src/onnx/tensor.ts";
import type { Dim, Tensor } from "../../src/graph/types.ts";

// ONNX files as old and odd tools write them, which writeModel does not.

type Value = number | string | readonly number[] | Tensor;

function attribute(name: string, value: Value, float: boolean): AttributeProto {
  if (typeof value === "string") return create(AttributeProtoSchema, { name, type: Kind.STRING, s: new TextEncoder().encode(value) });
  if (typeof value === "number")
    return create(AttributeProtoSchema, float ? { name, type: Kind.FLOAT, f: value } : { name, type: Kind.INT, i: BigInt(value) });
  if ("dtype" in value) return create(AttributeProtoSchema, { name, type: Kind.TENSOR, t: protoOf("", value) });
  return create(
    AttributeProtoSchema,
    float ? { name, type: Kind.FLOATS, floats: [...value] } : { name, type: Kind.INTS, ints: value.map(BigInt) },
  );
}

/** "y = Op(a, b)"; attributes whose names end in "." are floats. */
export function proto(text: string, attributes: Record<string, Value> = {}, name = ""): NodeProto {
  const [outputs = "", opType = "", inputs = ""] = /^(.*?) = ([\w.]+)\((.*)\)$/.exec(text)?.slice(1) ?? [];
  const list = (names: string): string[] => (names === "" ? [] : names.split(",").map((each) => each.trim()));
  const [domain, op] = opType.includes(".")
    ? [opType.slice(0, opType.lastIndexOf(".")), opType.slice(opType.lastIndexOf(".") + 1)]
    : ["", opType];
  return create(NodeProtoSchema, {
    name,
    domain,
    opType: op,
    input: list(inputs),
    output: list(outputs),
    attribute: Object.entries(attributes).map(([key, value]) => attribute(key.replace(/\.$/, ""), value, key.endsWith("."))),
  });
}

export function valueInfo(name: string, dims: readonly Dim[], elemType = 1): ValueInfoProto {
  const dim = dims.map((size) =>
    create(TensorShapeProto_DimensionSchema, {
      value: typeof size === "number" ? { case: "dimValue", value: BigInt(size) } : { case: "dimParam", value: size },
    }),
  );
  const value = create(TypeProto_TensorSchema, { elemType, shape: create(TensorShapeProtoSchema, { dim }) });
  return create(ValueInfoProtoSchema, { name, type: create(TypeProtoSchema, { value: { case: "tensorType", value } }) });
}

export interface ModelParts {
  readonly opset?: number | bigint;
  readonly ir?: number;
  readonly inputs?: readonly ValueInfoProto[];
  readonly nodes: readonly NodeProto[];
  readonly initializers?: readonly TensorProto[];
  readonly outputs?: readonly string[];
}

/** A serialized model with the input x: float32 [N, 3, 6, 6] unless told otherwise. */
export function modelBytes({
  opset = 17,
  ir = 8,
  inputs = [valueInfo("x", ["N", 3, 6, 6])],
  nodes,
  initializers = [],
  outputs = ["y"],
}: ModelParts): Uint8Array {
  const graph = create(GraphProtoSchema, {
    name: "test",
    input: [...inputs],
    node: [...nodes],
    initializer: [...initializers],
    output: outputs.map((name) => create(ValueInfoProtoSchema, { name })),
  });
  const opsetImport = [create(OperatorSetIdProtoSchema, { version: BigInt(opset) })];
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: BigInt(ir), opsetImport, graph }));
}
