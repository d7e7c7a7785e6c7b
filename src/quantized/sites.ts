// Where quantizers sit: one site per value that leaves a unit as codes. Values that only move codes about share a scale.
import type { Graph, GraphNode } from "../graph/types.ts";
import { type Clamp, clampOf, isWeighted, type ResidualMode, readers } from "./fusions.ts";
import type { Site } from "./types.ts";
import { type FusedUnit, findUnits, type Unit, unitNodes, unitOutputs } from "./units.ts";

/** Output codes are input codes, moved: the same scale and zero point on both sides. */
export const movingOps: ReadonlySet<string> = new Set(
  "MaxPool GlobalMaxPool Reshape Flatten Squeeze Unsqueeze Transpose Slice Split Pad DepthToSpace SpaceToDepth Identity Gather Expand Tile".split(
    " ",
  ),
);

/** Nearest-neighbour resizing only moves codes; linear resizing makes new ones. */
export const moves = (node: GraphNode): boolean =>
  movingOps.has(node.op) || (node.op === "Resize" && (node.attributes.mode ?? "nearest") === "nearest");

/** The operator that last touched a value in its unit. */
const lastNode = (unit: Unit): GraphNode => unitNodes(unit).at(-1)!;

/** A weighted unit without residual and clamp: its accumulators may leave as they are. */
const isBare = (graph: Graph, unit: Unit): unit is FusedUnit =>
  unit.kind === "fused" && isWeighted(graph, unit.anchor) && !unit.residual && !unit.clamp;

/**
 * Values that stay int32: a network's output made by a weighted unit, and (under `wide`) a convolution that only feeds
 * the residual sum of another. What is in `ends` leaves as codes.
 */
export function accumulatorValues(graph: Graph, mode: ResidualMode, ends: ReadonlySet<string> = new Set()): Set<string> {
  const units = findUnits(graph, mode, ends);
  const readersOf = readers(graph);
  const summed = new Set(units.flatMap((unit) => (unit.kind === "fused" && unit.residual ? [unit.residual.value] : [])));
  const stays = (unit: FusedUnit): boolean =>
    readersOf.get(unit.output)?.length === 1 && (summed.has(unit.output) || graph.outputs.includes(unit.output));
  return new Set(units.flatMap((unit) => (isBare(graph, unit) && !ends.has(unit.output) && stays(unit) ? [unit.output] : [])));
}

/**
 * All sites of a prepared graph, in order of execution: graph inputs, then unit outputs under `residual: codes`
 * (those that `wide` does not need are marked as branches).
 */
export function findSites(graph: Graph, bits: number): Site[] {
  const units = findUnits(graph, "codes");
  const accumulators = accumulatorValues(graph, "codes");
  const wideAccumulators = accumulatorValues(graph, "wide");
  const wideOutputs = new Set([...graph.inputs, ...findUnits(graph, "wide").flatMap(unitOutputs)]);
  const readersOf = readers(graph);

  const group = new Map<string, string>();
  const find = (value: string): string => {
    const up = group.get(value);
    return up === undefined || up === value ? value : find(up);
  };
  /** The earlier value in execution order names the group. */
  const unite = (first: string, second: string): void => void group.set(find(second), find(first));

  const values = [...graph.inputs];
  const made = new Set<string>();
  const bounds = new Map<string, Clamp>();
  const boundsBefore = (value: string): Clamp => bounds.get(value) ?? unbounded;
  for (const unit of units) {
    const node = lastNode(unit);
    for (const output of unitOutputs(unit)) {
      if (accumulators.has(output)) continue;
      values.push(output);
      if (unit.kind === "node" && moves(node)) unite(node.inputs[0]!, output);
      bounds.set(output, boundsOf(graph, unit, boundsBefore));
      // A value made for a concatenation alone is made in its scale at once: one rounding instead of two. Not if that scale would
      // reach beyond the value's own bounds: then its clamp would be no matter of saturation any more.
      if (unit.kind === "node" && node.op === "Concat") {
        const fits = (input: string): boolean => contains(boundsBefore(input), boundsBefore(output));
        for (const input of node.inputs) if (readersOf.get(input)?.length === 1 && made.has(input) && fits(input)) unite(input, output);
      }
      if (!(unit.kind === "node" && moves(node))) made.add(output);
    }
  }
  return values
    .filter((value) => isFloat(graph, value))
    .map((value) => ({
      value,
      group: find(value),
      branch: !wideOutputs.has(value) || wideAccumulators.has(value),
      bits,
    }));
}

const unbounded: Clamp = { min: Number.NEGATIVE_INFINITY, max: Number.POSITIVE_INFINITY };

/** Their ranges are fixed without data (ranges/rules.ts). */
const functionBounds: Readonly<Record<string, Clamp>> = {
  Sigmoid: { min: 0, max: 1 },
  HardSigmoid: { min: 0, max: 1 },
  Softmax: { min: 0, max: 1 },
  Tanh: { min: -1, max: 1 },
};

const contains = (outer: Clamp, inner: Clamp): boolean => outer.min <= inner.min && inner.max <= outer.max;

/** What a unit's output lies in, whatever the data: by its clamp, its function, or its inputs where codes only move. */
function boundsOf(graph: Graph, unit: Unit, of: (value: string) => Clamp): Clamp {
  const node = lastNode(unit);
  if (unit.kind === "fused") return unit.clamp ?? unbounded;
  const moved = unit.kind === "node" && (moves(node) || node.op === "Concat");
  const inputs = node.op === "Concat" ? node.inputs : node.inputs.slice(0, 1);
  if (moved) {
    return { min: Math.min(...inputs.map((value) => of(value).min)), max: Math.max(...inputs.map((value) => of(value).max)) };
  }
  return clampOf(graph, node) ?? functionBounds[node.op] ?? unbounded;
}

const isFloat = (graph: Graph, value: string): boolean => graph.facts.get(value)?.dtype === "float32";

/** The operator that last touched each value: some fix its range, all take its options. */
export function makers(graph: Graph): Map<string, GraphNode> {
  return new Map(findUnits(graph, "codes").flatMap((unit) => unitOutputs(unit).map((output) => [output, lastNode(unit)] as const)));
}
