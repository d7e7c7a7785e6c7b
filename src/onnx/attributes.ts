// AttributeProto → Attribute: the kinds that operators of this house take.

import { HalftoneError } from "../errors.ts";
import type { Attribute } from "../graph/types.ts";
import { type AttributeProto, AttributeProto_AttributeType as Kind, type NodeProto } from "./onnx_pb.ts";
import { type ExternalResolver, tensorOf } from "./tensor.ts";

const text = new TextDecoder();

/** True when the node carries graphs of its own: If, Loop, Scan. */
export function hasSubgraph(node: NodeProto): boolean {
  return node.attribute.some(({ type, g, graphs }) => type === Kind.GRAPH || type === Kind.GRAPHS || g !== undefined || graphs.length > 0);
}

/** The node's attributes by name. 64-bit integers are clamped to ±(2⁵³ − 1), which ONNX uses for "to the end" only. */
export function attributesOf(node: NodeProto, place: string, external: ExternalResolver | undefined): Record<string, Attribute> {
  const attributes: Record<string, Attribute> = {};
  for (const attribute of node.attribute) {
    if (Object.hasOwn(attributes, attribute.name)) {
      throw new HalftoneError("ONNX_MALFORMED", place, `the attribute '${attribute.name}' twice`, "each attribute once");
    }
    // Object.defineProperty, because a file may name an attribute "__proto__".
    Object.defineProperty(attributes, attribute.name, { value: attributeOf(attribute, place, external), enumerable: true });
  }
  return attributes;
}

function attributeOf(attribute: AttributeProto, place: string, external: ExternalResolver | undefined): Attribute {
  const where = `${place} attribute '${attribute.name}'`;
  if (attribute.refAttrName) throw new HalftoneError("ONNX_MALFORMED", where, "a reference outside of a function", "a value");
  switch (kindOf(attribute)) {
    case Kind.FLOAT:
      return attribute.f;
    case Kind.INT:
      return integer(attribute.i);
    case Kind.STRING:
      return text.decode(attribute.s);
    case Kind.FLOATS:
      return attribute.floats;
    case Kind.INTS:
      return attribute.ints.map(integer);
    case Kind.STRINGS:
      return attribute.strings.map((bytes) => text.decode(bytes));
    case Kind.TENSOR:
      if (attribute.t) return tensorOf(attribute.t, where, external);
  }
  throw new HalftoneError(
    "ONNX_MALFORMED",
    where,
    `a value of kind ${attribute.type}`,
    "a number, a string, a tensor, or a list of numbers or strings",
  );
}

/** Files before IR version 2 may leave the kind out. */
function kindOf(attribute: AttributeProto): Kind {
  if (attribute.type !== Kind.UNDEFINED) return attribute.type;
  if (attribute.t) return Kind.TENSOR;
  if (attribute.floats.length > 0) return Kind.FLOATS;
  if (attribute.ints.length > 0) return Kind.INTS;
  if (attribute.strings.length > 0) return Kind.STRINGS;
  return Kind.UNDEFINED;
}

function integer(value: bigint): number {
  const limit = BigInt(Number.MAX_SAFE_INTEGER);
  return Number(value > limit ? limit : value < -limit ? -limit : value);
}
