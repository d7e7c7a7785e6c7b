// A graph without its names: what two exports of one network must have in common.

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import type { Attribute, Graph, Tensor } from "./types.ts";

/** Type, sizes and a hash of the contents. */
function describe({ dtype, dims, data }: Tensor): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return `${dtype}[${dims.join(",")}]#${bytesToHex(sha256(bytes)).slice(0, 16)}`;
}

function show(attribute: Attribute): string {
  return typeof attribute === "object" && "dtype" in attribute ? describe(attribute) : JSON.stringify(attribute);
}

/**
 * One line a node, in graph order: operator, attributes, where its inputs come from, output shapes. Values are numbered
 * (`in0`, then `%0`, `%1` … by node), constants appear as their contents.
 */
export function summarize(graph: Graph): string[] {
  const numbers = new Map(graph.inputs.map((name, i) => [name, `in${i}`]));
  const value = (name: string): string => {
    const constant = graph.constants.get(name);
    return constant ? describe(constant) : (numbers.get(name) ?? "·");
  };
  const lines = graph.nodes.map((node, i) => {
    const attributes = Object.keys(node.attributes)
      .sort()
      .map((key) => `${key}=${show(node.attributes[key]!)}`);
    const inputs = node.inputs.map(value);
    const shapes = node.outputs.map((output) => `[${graph.facts.get(output)?.dims?.join(",") ?? "?"}]`);
    node.outputs.forEach((output, k) => {
      numbers.set(output, k === 0 ? `%${i}` : `%${i}.${k}`);
    });
    return `%${i} = ${node.op}{${attributes.join(" ")}}(${inputs.join(", ")}) → ${shapes.join(" ")}`;
  });
  return [...lines, `return ${graph.outputs.map(value).join(", ")}`];
}
