// How much faster two workers are than one, on the heaviest network: calibration, accuracy of a float model, and learning roundings
// (20 steps of BRECQ for each block, 64 samples, calibration and all that is not shared included).
//   HALFTONE_DATA=… node test/bench/workers.mjs [samples [stage]]        (after npm run build; on an otherwise idle machine)
// Prints seconds, CPU seconds and the samples each worker did; one and two workers take turns. Where other programs use the processors,
// the wall clock says little: then `busy`, CPU time over wall time, is the evidence that both workers compute all the time, and `CPU s`
// that sharing costs nothing.
import { readFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";

const root = process.env.HALFTONE_DATA;
if (!root) throw new Error("HALFTONE_DATA is not set: it names the folder with the networks and their data");
const samples = Number(process.argv[2] ?? 192);
const rounds = 3;
const leastSpeedUp = { calibrate: 1.8, evaluate: 1.8, reconstruct: 1.5 };
const dist = new URL("../../dist/src/", import.meta.url);
const { createExecutor, evaluate, openDataset, quantize, readPreprocessorConfig, readModel, prepare } = await import(
  new URL("index.js", dist)
);
const [{ calibrate }, { findSites }, { nodeFiles }] = await Promise.all(
  ["calibrate.js", "quantized/sites.js", "cli/files.js"].map((path) => import(new URL(path, dist))),
);

const folder = `${root}/imagenet/mobilenetv2/`;
const model = new Uint8Array(readFileSync(`${folder}model.onnx`));
const values = findSites(prepare(readModel(model)), 8).map(({ value }) => value);
const { preprocessing } = readPreprocessorConfig(readFileSync(`${folder}preprocessor_config.json`, "utf8"), "preprocessor_config.json");
const calibration = await openDataset(`${root}/imagenet/calib_512`, nodeFiles);
const validation = await openDataset(`${root}/imagenet/val_650`, nodeFiles);
const stages = {
  calibrate: (executor) => calibrate({ model, values, dataset: calibration, samples, preprocessing, executor }),
  evaluate: (executor) => evaluate(model, validation, { limit: samples, preprocessing, executor }),
  reconstruct: (executor) =>
    quantize(
      { model, name: "imagenet/mobilenetv2", dataset: calibration, preprocessing },
      { method: "brecq", weights: 4, floatActivations: true, samples: 64, learning: { iterations: 20 } },
      { executor },
    ),
};
const work = Object.fromEntries(Object.entries(stages).filter(([stage]) => stage === (process.argv[3] ?? stage)));

const best = {};
console.log(`${availableParallelism()} processors, load ${loadavg()[0].toFixed(1)}, ${samples} samples, ${rounds} rounds in turns`);
for (const [stage, run] of Object.entries(work)) {
  const executors = await Promise.all([1, 2].map((workers) => createExecutor({ workers })));
  // The first run of each also compiles and packs weights.
  for (const executor of executors) await run(executor);
  for (let round = 0; round < rounds; round++) {
    for (const executor of executors) {
      const before = [...executor.done];
      const [started, cpu] = [performance.now(), process.cpuUsage()];
      await run(executor);
      const seconds = (performance.now() - started) / 1000;
      const { user, system } = process.cpuUsage(cpu);
      const cpuSeconds = (user + system) / 1e6;
      const entry = { seconds, cpuSeconds, tasks: executor.done.map((done, i) => done - before[i]) };
      const key = `${stage} ${executor.workers}`;
      if (!best[key] || best[key].seconds > seconds) best[key] = entry;
    }
  }
  for (const executor of executors) await executor.close();
}
console.log("| stage | workers | tasks each | seconds | CPU s | busy |\n|---|--:|--:|--:|--:|--:|");
for (const [key, { seconds, cpuSeconds, tasks }] of Object.entries(best)) {
  const [stage, workers] = key.split(" ");
  const cells = [stage, workers, tasks.join(" + "), seconds.toFixed(2), cpuSeconds.toFixed(2), (cpuSeconds / seconds).toFixed(2)];
  console.log(`| ${cells.join(" | ")} |`);
}
let missed = 0;
for (const stage of Object.keys(work)) {
  const speedUp = best[`${stage} 1`].seconds / best[`${stage} 2`].seconds;
  if (speedUp < leastSpeedUp[stage]) missed++;
  console.log(`${stage}: two workers are ${speedUp.toFixed(2)}× as fast as one (at least ${leastSpeedUp[stage]}×)`);
}
console.log(`peak ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`);
process.exitCode = missed ? 1 : 0;
