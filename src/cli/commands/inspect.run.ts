import { HalftoneError } from "../../errors.ts";
import { prepare } from "../../graph/prepare.ts";
import type { Graph } from "../../graph/types.ts";
import { readModel } from "../../onnx/read.ts";
import { readPlan } from "../../plan/reader.ts";
import type { Plan, Step } from "../../plan/types.ts";
import type { Preprocessing } from "../../data/index.ts";
import { findUnits, unitNodes, unitOutputs } from "../../quantized/units.ts";
import { pixelBorders } from "../../report/pixels.ts";
import { type LayerDrift, measureDrift } from "../../report/drift.ts";
import { constantBytesOf, layerRows } from "../../report/layers.ts";
import { Twins } from "../../report/twins.ts";
import { hasPreprocessing, openData, readPreprocessing } from "../data-flags.ts";
import { isWeighted } from "../../quantized/fusions.ts";
import type { PartReport } from "../../quantized/types.ts";
import { findParts } from "../../reconstruct/scopes.ts";
import { inFile, kindOf, openModel } from "../models.ts";
import { partCells } from "../parts.ts";
import { pixelText } from "../pixels.ts";
import { bytes, guarded, printJson, say, table } from "../terminal.ts";
import type { InspectFlags } from "./inspect.ts";

export const run = (flags: InspectFlags, path: string): Promise<void> =>
  guarded(flags, async (signal) => {
    const file = await openModel(path, "float", "integer");
    if (kindOf(path) === "float") {
      if (flags.against)
        throw new HalftoneError("OPTION_INVALID", "--against", "a float model to inspect", "an integer program (.halftone)");
      return showGraph(await inFile(path, () => prepare(readModel(file))), path, flags.json);
    }
    const plan = await readPlan(file);
    showPlan(plan, path, flags.against ? await driftOf(plan, flags, signal) : undefined, flags.json);
  });

async function driftOf(plan: Plan, flags: InspectFlags, signal: AbortSignal): Promise<LayerDrift[]> {
  if (!flags.data) throw new HalftoneError("OPTION_INVALID", "--against", "no --data", "samples to run both on", "Add --data PATH.");
  const dataset = await openData(flags.data, flags.labelOffset);
  const preprocessing =
    hasPreprocessing(flags) || !plan.preprocessing ? await readPreprocessing(flags, dataset) : (plan.preprocessing as Preprocessing);
  const samples = await dataset.read(0, Math.min(flags.samples, dataset.length));
  const against = flags.against!;
  const model = await openModel(against, "float");
  return inFile(against, async () => {
    const twins = await Twins.open(model, plan, preprocessing, signal);
    return measureDrift(twins, samples).finally(() => twins.close());
  });
}

function showGraph(graph: Graph, path: string, json: boolean): void {
  const units = findUnits(graph, "wide").map((unit) => {
    const nodes = unitNodes(unit);
    const constants = nodes.flatMap((node) => node.inputs.flatMap((name) => graph.constants.get(name) ?? []));
    const parameters = constants.reduce((sum, { dtype, data }) => sum + (dtype === "float32" ? data.length : 0), 0);
    return {
      operators: nodes.map(({ op }) => op).join(" + "),
      names: nodes.map(({ name }) => name),
      shape: unitOutputs(unit).map((name) => shapeText(graph.facts.get(name)?.dims)),
      parameters,
    };
  });
  const blocks = findParts(graph, "block").map(({ name, nodes, inputs, outputs }) => {
    const layers = nodes.filter((node) => isWeighted(graph, node)).map((node) => node.name);
    return { name, layers, inputs, outputs, shape: outputs.map((value) => shapeText(graph.facts.get(value)?.dims)) };
  });
  if (json) {
    printJson({ file: path, inputs: ports(graph, graph.inputs), outputs: ports(graph, graph.outputs), units, blocks });
    return;
  }
  say("file", path);
  for (const [label, names] of [
    ["input", graph.inputs],
    ["output", graph.outputs],
  ] as const) {
    for (const { name, dtype, shape } of ports(graph, names)) say(label, `${name} · ${dtype} ${shape}`);
  }
  const rows = units.map(({ operators, names, shape, parameters }, i) => [i, operators, shape.join(" "), parameters, names.join(" + ")]);
  process.stdout.write(`\n${table(["unit", "operators", "output", "parameters", "nodes"], rows)}\n`);
  const blockRows = blocks.map(({ inputs, outputs, shape, layers }, i) => [
    i,
    inputs.join(" + "),
    outputs.join(" + "),
    shape.join(" "),
    layers.join(" + "),
  ]);
  process.stdout.write(`\n${table(["block", "from", "to", "output", "layers (learned together)"], blockRows)}\n`);
}

const shapeText = (dims: readonly unknown[] | undefined): string => (dims ? `[${dims.join(", ")}]` : "?");

const ports = (graph: Graph, names: readonly string[]): { name: string; dtype: string; shape: string }[] =>
  names.map((name) => ({ name, dtype: graph.facts.get(name)?.dtype ?? "?", shape: shapeText(graph.facts.get(name)?.dims) }));

function showPlan(plan: Plan, path: string, drift: readonly LayerDrift[] | undefined, json: boolean): void {
  const largestAt = new Map(drift?.map(({ step, largest }) => [step, largest]));
  const layers = layerRows(plan, drift ?? []);
  const steps = layers.map(({ index, kernel, nodes, dims, type, accumulator, bytes: size, sqnrDb }) => {
    const step = plan.steps[index]!;
    const { scale, zeroPoint } = plan.values[step.output]!;
    const epilogue = epilogueOf(step);
    return {
      ...{ step: index, kernel, nodes, shape: dims, type, scale, zeroPoint, epilogue, accumulator, bytes: size, sqnrDb },
      largest: largestAt.get(index),
    };
  });
  const constants = constantBytesOf(plan, plan.steps);
  if (json) {
    const { arithmetic, version, arenaBytes, provenance, preprocessing, labels } = plan;
    const pixels = plan.pixels ? { borders: pixelBorders(plan) } : undefined;
    printJson({ file: path, arithmetic, version, arenaBytes, constants, preprocessing, pixels, labels, provenance, steps });
    return;
  }
  say("file", path);
  say("contract", `${plan.arithmetic}, plan version ${plan.version}: int32 accumulators, one rounding, half to even`);
  for (const [label, indices] of [
    ["input", plan.inputs],
    ["output", plan.outputs],
  ] as const) {
    for (const index of indices) {
      const { name, dims, type, scale, zeroPoint } = plan.values[index]!;
      say(label, `${name} · ${type} [${dims.join(", ")}] · real = ${scaleText(scale)} · (code − ${zeroPoint})`);
    }
  }
  if (plan.pixels) say("pixels", pixelText(plan));
  say("memory", `${bytes(constants)} of constants, ${bytes(plan.arenaBytes)} of activations at the peak`);
  const source = plan.provenance?.source;
  if (source) say("made of", `${source} (sha-256 ${String(plan.provenance?.sourceHash).slice(0, 12)}…)`);
  const parts = (plan.provenance?.parts ?? []) as readonly PartReport[];
  if (parts.length > 0) {
    const cells = parts.map((part, i) => [i, ...partCells(part), part.weights.join(" + ")]);
    process.stdout.write(`\n${table(["part", "name", "SQNR before → after", "moved", "undecided", "layers"], cells)}\n`);
  }
  const header = [
    "step",
    "kernel",
    "output",
    "type",
    "scale",
    "zero",
    "accumulator",
    "bits",
    "bytes",
    ...(drift ? ["SQNR dB"] : []),
    "epilogue",
    "nodes",
  ];
  const rows = steps.map(({ step, kernel, shape, type, scale, zeroPoint, epilogue, accumulator, bytes: size, sqnrDb }) => [
    step,
    kernel,
    shape.join("×"),
    type,
    scaleText(scale),
    zeroPoint,
    accumulator ? `${accumulator[0]} … ${accumulator[1]}` : "",
    accumulator ? 33 - Math.clz32(Math.max(-accumulator[0] - 1, accumulator[1])) : "",
    size,
    ...(drift ? [sqnrDb === undefined ? "" : sqnrDb.toFixed(1)] : []),
    epilogue ?? "",
    layers[step]!.name,
  ]);
  process.stdout.write(`\n${table(header, rows)}\n`);
}

const scaleText = (scale: readonly number[]): string => (scale.length === 1 ? scale[0]!.toPrecision(4) : `${scale.length} scales`);

function epilogueOf(step: Step): string | undefined {
  if (step.kernel === "conv") return epilogueText(step.epilogue);
  return step.kernel === "matmul" ? `requantize (${step.requantization.rounding})` : undefined;
}

function epilogueText(epilogue: Extract<Step, { kernel: "conv" }>["epilogue"]): string {
  if (epilogue.kind === "requantize") return `requantize (${epilogue.rounding})`;
  return epilogue.kind === "residual" ? "residual, wide" : "int32";
}
