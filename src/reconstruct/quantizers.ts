// Where activations are quantized while a network is learned: where its integer program rounds.
import type { Encoding } from "../formats/encoding.ts";
import { quantizeOne } from "../formats/linear.ts";
import { movingOps } from "../quantized/sites.ts";
import type { Quantized } from "../quantized/types.ts";
import type { Steps } from "./cache.ts";
import type { Quantizer } from "./unit.ts";

/** Sites that it has codes for, but not those that only move codes. */
export function findQuantizers({ graph, sites, activations }: Quantized): Quantizer[] {
  const producer = new Map(graph.nodes.flatMap((node) => node.outputs.map((value) => [value, node] as const)));
  return sites.flatMap(({ value, group, branch }): Quantizer[] => {
    const node = producer.get(value);
    const encoding = activations.get(value);
    if (branch || !node || !encoding || movingOps.has(node.op)) return [];
    if (node.op === "Resize" && (node.attributes.mode ?? "nearest") === "nearest") return [];
    return [{ value, group, encoding }];
  });
}

/** Values as their codes say them. */
export function quantizedValues(values: Float32Array, { levels, scale, zeroPoint }: Encoding): Float32Array {
  if (levels.kind !== "linear") return values;
  const [s, z] = [scale[0]!, zeroPoint[0]!];
  return values.map((x) => s * (quantizeOne(x, s, z, levels.lo, levels.hi) - z));
}

/** What such values are multiples of. */
export function stepsOf({ levels, scale, zeroPoint }: Encoding): Steps | undefined {
  return levels.kind === "linear" ? { step: scale[0]!, low: levels.lo - zeroPoint[0]! } : undefined;
}
