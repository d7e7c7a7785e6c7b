// A quantized ONNX graph (QDQ, or operators on codes) → Quantized: the file's own codes, scales and biases, from which lowering makes
// the integer program.
import { HalftoneError } from "../errors.ts";
import type { Encoding } from "../formats/encoding.ts";
import { inferFacts } from "../graph/infer.ts";
import { prepareQuantized } from "../graph/prepare.ts";
import type { Graph, GraphNode } from "../graph/types.ts";
import { isWeighted, outputAxis, weightedOps } from "../quantized/fusions.ts";
import { accumulatorValues } from "../quantized/sites.ts";
import type { Provenance, Quantized, QuantizedWeight } from "../quantized/types.ts";
import { findUnits, type Unit, unitNodes, unitOutputs } from "../quantized/units.ts";
import { biasOf, isCodes, refuse, weightOf } from "./codes.ts";
import { completeMoves } from "./moved.ts";
import { absorbNarrowClips } from "./narrow.ts";
import { PairReader } from "./pairs.ts";
import { toPairs } from "./qoperator.ts";

/**
 * Codes, scales and biases of a quantized model, and the float graph between its quantizers. Lower it with `residual: "wide"`: its sites
 * end units, so every code is the file's.
 *
 * @param graph as readModel gives it
 * @throws HalftoneError NO_INTEGER_FORM naming what an integer program cannot be made of, and the way out
 */
export function readQuantized(graph: Graph, provenance: Provenance): Quantized {
  // Before anything else: a ReLU must not be merged with the bounds of codes.
  const pairs = prepareQuantized(absorbNarrowClips.apply(toPairs(graph)));
  refuseDynamic(pairs);
  if (!pairs.nodes.some(({ op }) => op === "QuantizeLinear" || op === "DequantizeLinear")) {
    throw new HalftoneError(
      "NO_INTEGER_FORM",
      "model",
      "no QuantizeLinear, no DequantizeLinear and no operator on codes",
      "a quantized model",
      "It is a float model: `halftone quantize MODEL.onnx --data SAMPLES -o OUT.halftone` makes an integer program of it.",
    );
  }
  const reader = new PairReader(pairs);
  reader.read();
  const { encodings } = reader;
  const real = completeMoves(floatGraph(pairs, reader), encodings);
  const used = new Set([...real.nodes.flatMap(({ inputs }) => inputs), ...real.outputs]);
  const float = inferFacts({ ...real, constants: new Map([...real.constants].filter(([name]) => used.has(name))) });

  refuseMissing(float, encodings);
  const weights = new Map<string, QuantizedWeight>();
  const biases = new Map<string, Int32Array>();
  for (const node of float.nodes) {
    if (!weightedOps.has(node.op)) continue;
    if (!isWeighted(float, node)) throw refuse(node, "a product of two activations", "constant weights");
    const coded = reader.coded.get(node.inputs[1]!);
    if (!coded) throw refuse(node, "float weights", "weights behind DequantizeLinear", "Quantize this operator too.");
    const weight = weightOf(node, coded, outputAxis(node));
    weights.set(node.name, weight);
    const bias = reader.coded.get(node.inputs[2] ?? "");
    const codes = bias && biasOf(bias, encodings.get(node.inputs[0]!)!, weight);
    if (codes) biases.set(node.name, codes);
  }
  return {
    graph: float,
    sites: Array.from(encodings, ([value, { bits }]) => ({ value, group: value, branch: false, bits, ends: true })),
    activations: encodings,
    weights,
    biases,
    excluded: [],
    provenance,
  };
}

function refuseDynamic(graph: Graph): void {
  const dynamic = graph.nodes.find(({ op }) => op === "DynamicQuantizeLinear");
  if (dynamic)
    throw refuse(
      dynamic,
      "scales computed from each input",
      "constant scales",
      "Quantize the model statically, with calibrated scales (in ONNX Runtime: quantize_static), or its float original with `halftone quantize`.",
    );
}

function floatGraph(pairs: Graph, { nodes, constants }: PairReader): Graph {
  const facts = new Map(pairs.facts);
  for (const input of pairs.inputs) {
    const fact = facts.get(input)!;
    if (isCodes(fact.dtype)) facts.set(input, { dtype: "float32", dims: fact.dims });
  }
  return inferFacts({ ...pairs, nodes, constants, facts });
}

/** Everything that a unit reads and writes must be codes, or accumulators that leave as they are. */
function refuseMissing(graph: Graph, encodings: ReadonlyMap<string, Encoding>): void {
  const ends = new Set(encodings.keys());
  const accumulators = accumulatorValues(graph, "wide", ends);
  const missing = (value: string): boolean =>
    value !== "" &&
    graph.facts.get(value)?.dtype === "float32" &&
    !graph.constants.has(value) &&
    !encodings.has(value) &&
    !accumulators.has(value);
  for (const input of graph.inputs) {
    if (missing(input))
      throw new HalftoneError(
        "NO_INTEGER_FORM",
        `input '${input}'`,
        "no QuantizeLinear behind it",
        "a scale and zero point",
        "Quantize the operators that read it too.",
      );
  }
  for (const output of graph.outputs) {
    if (graph.constants.has(output))
      throw new HalftoneError(
        "NO_INTEGER_FORM",
        `output '${output}'`,
        "a constant",
        "a value that is computed",
        "Leave it out: --cut VALUE.",
      );
  }
  const units = findUnits(graph, "wide", ends);
  for (const [what, valuesOf] of [
    ["an input", unitInputs],
    ["an output", unitOutputs],
  ] as const) {
    for (const unit of units) {
      const value = valuesOf(unit).find(missing);
      if (value === undefined) continue;
      const [first] = unitNodes(unit) as [GraphNode];
      const before = first.inputs.find((name) => !graph.constants.has(name));
      throw refuse(
        first,
        `${what} '${value}' in float`,
        "codes on all sides",
        `Quantize this operator too, or end the program before it: --cut ${before}.`,
      );
    }
  }
}

function unitInputs(unit: Unit): string[] {
  const nodes = unitNodes(unit);
  const inside = new Set(nodes.flatMap(({ outputs }) => outputs));
  return nodes.flatMap(({ inputs }) => inputs).filter((value) => !inside.has(value));
}
