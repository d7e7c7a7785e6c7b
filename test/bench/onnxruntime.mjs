// QDQ files of every network in ONNX Runtime: what it fuses, and its codes and answers beside those of our programs.
//   HALFTONE_DATA=… node test/bench/onnxruntime.mjs [name …]
// (after npm run build and npm ci --prefix test/bench/peers --ignore-scripts)
// equal codes: every layer of a plan lowered with `residual: codes`, fed with the codes that ONNX Runtime's layer was fed with.
// agreement: answers of the `wide` plan beside those of ONNX Runtime; of the QDQ file in our float engine where there is no plan.
import { openData, readPreprocessing } from "../../dist/src/cli/data-flags.js";
import { decodeSample } from "../../dist/src/data/preprocess.js";
import { createEngine } from "../../dist/src/engine/index.js";
import { lower } from "../../dist/src/lower/lower.js";
import { ModelProtoSchema } from "../../dist/src/onnx/onnx_pb.js";
import { toQdq } from "../../dist/src/onnx/qdq.js";
import { writeModel } from "../../dist/src/onnx/write.js";
import { quantize } from "../../dist/src/quantize.js";
import { createSession } from "../../dist/src/runtime/index.js";
import { networks, openNetwork } from "./networks.mjs";
import { Agreement, layersOf, loadRuntime, openOptimized, runOn, signed, withCodes } from "./peers/onnxruntime.mjs";

const data = process.env.HALFTONE_DATA;
if (!data) throw new Error("HALFTONE_DATA is not set: it names the folder with the networks and their data");
const runtime = loadRuntime();
if (!runtime) throw new Error("onnxruntime-node is not installed: npm ci --prefix test/bench/peers --ignore-scripts");

const calibration = 256;
const forced = 8;
const compared = 500;

const best = (logits) => logits.reduce((at, x, i) => (x > logits[at] ? i : at), 0);

/** The first `count` samples, prepared, as feeds of a batch of one. */
async function* feedsOf(dataset, preprocessing, graph, count) {
  const [name] = graph.inputs;
  const dims = graph.facts.get(name).dims;
  const channels = dims.length === 4 ? dims[1] : undefined;
  for (let i = 0; i < Math.min(count, dataset.length); i++) {
    // Spread over the data, which may be sorted by class.
    const at = Math.floor((i * dataset.length) / Math.min(count, dataset.length));
    const [raw] = await dataset.read(at, at + 1);
    const { values } = await decodeSample(raw, preprocessing, channels);
    yield { [name]: { dims: dims.map((d, axis) => (axis === 0 || typeof d === "string" ? 1 : d)), data: values } };
  }
}

async function equalCodes(quantized, samples) {
  const graph = withCodes(toQdq(quantized));
  const { session } = await openOptimized(runtime, writeModel(graph), ModelProtoSchema);
  const shown = new Set(graph.outputs);
  const answers = [];
  for await (const feeds of samples) answers.push(await runOn(runtime, session, feeds));
  const agreement = new Agreement();
  for (const layer of layersOf(lower(quantized, { residual: "codes" }), (name) => shown.has(`${name}_quantized`))) {
    const ours = await createSession(layer);
    const { name } = layer.values[layer.outputs[0]];
    for (const answer of answers) {
      const inputs = layer.inputs.map((i) => [layer.values[i].name, signed(answer[`${layer.values[i].name}_quantized`].data)]);
      const { codes } = ours.run(Object.fromEntries(inputs))[name];
      if (shown.has(`${name}_quantized`)) agreement.add(codes, signed(answer[`${name}_quantized`].data));
    }
  }
  return agreement;
}

async function answersAlike(quantized, session, samples, answer) {
  const [output] = quantized.graph.outputs;
  let [alike, total] = [0, 0];
  for await (const feeds of samples) {
    const theirs = (await runOn(runtime, session, feeds))[output].data;
    total++;
    if (best(answer(feeds)) === best(theirs)) alike++;
  }
  return (100 * alike) / total;
}

/** Our answers to feeds: the wide plan's, or the QDQ graph's in float arithmetic where nodes have no integer form. */
async function answerer(quantized, plan, qdq) {
  const [output] = quantized.graph.outputs;
  if (plan) {
    const ours = await createSession(plan);
    return (feeds) => ours.run(Object.fromEntries(Object.entries(feeds).map(([name, each]) => [name, each.data])))[output].values;
  }
  const engine = await createEngine(qdq);
  const tensors = (feeds) => new Map(Object.entries(feeds).map(([name, each]) => [name, { dtype: "float32", ...each }]));
  return (feeds) => engine.run(tensors(feeds)).get(output).data;
}

function planOf(quantized) {
  try {
    return lower(quantized);
  } catch (error) {
    if (error.code === "NO_INTEGER_FORM") return undefined;
    throw error;
  }
}

const wanted = process.argv.slice(2);
const seen = new Set();
console.log("| network | Conv → QLinearConv | other operators after optimisation | equal codes % | furthest | agreement % |");
console.log("| --- | --- | --- | ---: | ---: | ---: |");
for (const row of networks(data)) {
  const name = row.model ?? row.name;
  if (seen.has(name) || (wanted.length && !wanted.some((prefix) => name.startsWith(prefix)))) continue;
  seen.add(name);
  const { model, dataset, preprocessing, tests } = await openNetwork(data, name, { openData, readPreprocessing });
  const [test] = tests;
  const quantized = await quantize({ model, name, dataset, preprocessing }, { samples: calibration });
  const qdq = toQdq(quantized);
  const { session, counts } = await openOptimized(runtime, writeModel(qdq), ModelProtoSchema);
  const plan = planOf(quantized);
  const agreement = plan && (await equalCodes(quantized, feedsOf(test, preprocessing, quantized.graph, forced)));
  const samples = feedsOf(test, preprocessing, quantized.graph, compared);
  const alike = await answersAlike(quantized, session, samples, await answerer(quantized, plan, qdq));
  const { QLinearConv = 0, ...others } = counts;
  const cells = [
    name,
    `${quantized.graph.nodes.filter(({ op }) => op === "Conv").length} → ${QLinearConv}`,
    Object.entries(others)
      .map(([op, count]) => `${count} ${op}`)
      .join(", "),
    agreement ? ((100 * agreement.equal) / agreement.total).toFixed(4) : "no plan",
    agreement?.most ?? "",
    alike.toFixed(2),
  ];
  console.log(`| ${cells.join(" | ")} |`);
}
process.exit(0);
