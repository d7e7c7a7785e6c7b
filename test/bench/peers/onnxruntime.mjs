// ONNX Runtime as a peer: what it makes of our QDQ files, and its codes beside ours. Absent unless `npm ci --prefix test/bench/peers` has run.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";

/** The package, or undefined where it is not installed. */
export function loadRuntime() {
  try {
    return createRequire(import.meta.url)("onnxruntime-node");
  } catch (error) {
    if (error.code === "MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}

/**
 * Loads a model with every optimisation, and counts the operators of what it became.
 * x64quantprecision: without it, CPUs that lack VNNI add pairs of products in 16 bits, saturated.
 */
export async function openOptimized(runtime, bytes, ModelProtoSchema) {
  const folder = mkdtempSync(join(tmpdir(), "halftone-peer-"));
  const optimizedModelFilePath = join(folder, "optimized.onnx");
  try {
    const session = await runtime.InferenceSession.create(bytes, {
      graphOptimizationLevel: "all",
      optimizedModelFilePath,
      intraOpNumThreads: 1,
      logSeverityLevel: 3,
      extra: { session: { x64quantprecision: "1" } },
    });
    const counts = {};
    const model = fromBinary(ModelProtoSchema, new Uint8Array(readFileSync(optimizedModelFilePath)));
    for (const { opType } of model.graph.node) counts[opType] = (counts[opType] ?? 0) + 1;
    return { session, counts };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Answers by name; float32 in, whatever the model has out. */
export async function runOn(runtime, session, feeds) {
  const inputs = {};
  for (const [name, { dims, data }] of Object.entries(feeds)) inputs[name] = new runtime.Tensor("float32", data, dims);
  return session.run(inputs);
}

/** The QDQ graph with the codes of every site as further outputs: value `x` is shown as `x_quantized`. */
export function withCodes(graph) {
  const codes = graph.nodes.filter(({ op }) => op === "QuantizeLinear").map(({ outputs }) => outputs[0]);
  return { ...graph, outputs: [...graph.outputs, ...codes] };
}

const inputsOf = (step) => step.inputs ?? (step.kernel === "constant" ? [] : [step.input]);
const readsOf = (step) => [...inputsOf(step), ...(step.epilogue?.kind === "residual" ? [step.epilogue.value] : [])];

/**
 * The plan cut behind every value of the graph: small plans that can each be fed with another engine's codes.
 *
 * @param isKnown whether the other engine shows a value's codes
 */
export function layersOf(plan, isKnown) {
  const layers = [];
  let steps = [];
  for (const [i, step] of plan.steps.entries()) {
    steps.push(step);
    const output = plan.values[step.output];
    const more = plan.steps.slice(i + 1).some((later) => later.output === step.output);
    if (more || !(isKnown(output.name) || plan.outputs.includes(step.output))) continue;
    layers.push(layerOf(plan, steps, step.output));
    steps = [];
  }
  return layers;
}

function layerOf(plan, steps, output) {
  const written = new Set(steps.map((step) => step.output));
  const indices = [...new Set(steps.flatMap((step) => [...readsOf(step), step.output]))];
  const place = new Map(indices.map((index, i) => [index, i]));
  let arenaBytes = 0;
  const values = indices.map((index) => {
    const value = { ...plan.values[index], offset: arenaBytes };
    const elements = value.order.slice(0, -1).reduce((product, axis) => product * value.dims[axis], value.pitch);
    arenaBytes += Math.ceil((elements * (value.type === "int8" ? 1 : 4)) / 16) * 16;
    return value;
  });
  const moved = steps.map((step) => ({
    ...step,
    output: place.get(step.output),
    // Codes from outside may be any, also those that the step before could not have written.
    ...(step.accumulator && { accumulator: [-(2 ** 31), 2 ** 31 - 1] }),
    ...(step.inputs && { inputs: step.inputs.map((index) => place.get(index)) }),
    ...(step.input !== undefined && { input: place.get(step.input) }),
    ...(step.epilogue?.kind === "residual" ? { epilogue: { ...step.epilogue, value: place.get(step.epilogue.value) } } : {}),
  }));
  const inputs = indices.filter((index) => !written.has(index)).map((index) => place.get(index));
  return { ...plan, values, steps: moved, inputs, outputs: [place.get(output)], arenaBytes };
}

/** Unsigned codes as the plan holds them. */
export const signed = (codes) => Int8Array.from(codes, (code) => code - 128);

/** Codes of one layer beside another engine's. */
export class Agreement {
  total = 0;
  equal = 0;
  most = 0;

  add(ours, theirs) {
    for (let i = 0; i < ours.length; i++) {
      const distance = Math.abs(ours[i] - theirs[i]);
      this.total++;
      if (distance === 0) this.equal++;
      this.most = Math.max(this.most, distance);
    }
  }
}
