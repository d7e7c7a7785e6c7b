// Milliseconds of processor time per sample in the float engine, best of the rounds, and the peak of linear memory:
//   HALFTONE_DATA=… node test/bench/float-engine.mjs [model.onnx …] [--batch 1,8,32] [--rounds 8] [--operators]
// --operators adds the time of each operator at the first batch. Inputs are random: only time is measured.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import "./typescript.mjs";

const { createEngine } = await import("../../src/engine/index.ts");
const { prepare } = await import("../../src/graph/prepare.ts");
const { readModel } = await import("../../src/onnx/read.ts");
const { forwardKernels } = await import("../../src/ops/forward.ts");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    batch: { type: "string", default: "1,8,32" },
    rounds: { type: "string", default: "8" },
    operators: { type: "boolean", default: false },
  },
});
const standard = ["imagenet/mobilenetv2", "imagenet/squeezenet11", "fashion/resnet20", "fashion/mobilenetv2", "fashion/vit"];
const models = positionals.length > 0 ? positionals : standard.map((name) => `${process.env.HALFTONE_DATA}/${name}/model.onnx`);
const batches = values.batch.split(",").map(Number);

const processorTime = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

function feedsOf(graph, batch) {
  return new Map(
    graph.inputs.map((name) => {
      const dims = graph.facts.get(name).dims.map((dim) => (typeof dim === "number" ? dim : batch));
      const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => ((i * 7919) % 256) / 64 - 2);
      return [name, { dtype: "float32", dims, data }];
    }),
  );
}

function best(engine, feeds, rounds) {
  let least = Infinity;
  for (let i = 0; i < rounds; i++) {
    const start = processorTime();
    engine.run(feeds);
    least = Math.min(least, processorTime() - start);
  }
  return least;
}

/** Replaces each kernel's run by one that keeps the time; returns the sums by operator. */
function watch() {
  const times = new Map();
  for (const [op, kernel] of forwardKernels) {
    const { run } = kernel;
    kernel.run = (...args) => {
      const start = processorTime();
      run(...args);
      times.set(op, (times.get(op) ?? 0) + processorTime() - start);
    };
  }
  return times;
}

for (const path of models) {
  const graph = prepare(readModel(new Uint8Array(readFileSync(path))));
  const engine = await createEngine(graph);
  best(engine, feedsOf(graph, 1), 5);
  for (const batch of batches) {
    const ms = best(engine, feedsOf(graph, batch), Number(values.rounds)) / batch;
    console.log(`${path}  batch ${batch}  ${ms.toFixed(2)} ms/sample  peak ${(engine.peakBytes / 2 ** 20).toFixed(1)} MiB`);
  }
}

if (values.operators) {
  const times = watch();
  for (const path of models) {
    const graph = prepare(readModel(new Uint8Array(readFileSync(path))));
    const engine = await createEngine(graph);
    const feeds = feedsOf(graph, batches[0]);
    best(engine, feeds, 5);
    times.clear();
    best(engine, feeds, 5);
    const list = [...times].toSorted((a, b) => b[1] - a[1]).map(([op, ms]) => `${op} ${(ms / 5 / batches[0]).toFixed(2)}`);
    console.log(`${path}  ${list.join(", ")}`);
  }
}
