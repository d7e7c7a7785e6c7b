// What two threads can gain on each network, and what they gain on this machine as it is:
//   node test/bench/threads.mjs [--threads 2] [--rounds 25]       after npm run build
// "balance" needs no idle machine: each task is timed on one thread (CPU time, best of rounds), and handed out as the session does, to
// whichever thread is free first; what is not split, and the longest of each step's threads, add up.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { folder, makeModels, models } from "./models.mjs";
import "./typescript.mjs";

const { values: options } = parseArgs({
  options: { threads: { type: "string", default: "2" }, rounds: { type: "string", default: "25" } },
});
const threads = Number(options.threads);
const rounds = Number(options.rounds);
const { loadKernels, loadModule } = await import("../../src/runtime/files.ts");
const { place } = await import("../../src/runtime/place.ts");
const { callsOf } = await import("../../src/runtime/step.ts");
const { tasksOf, worthSplitting } = await import("../../src/runtime/threads/tasks.ts");
const { readPlan } = await import("../../src/plan/reader.ts");
const { createSession } = await import("../../dist/runtime.js");

const run = (calls) => {
  for (const { run: kernel, args } of calls) kernel(...args);
};

/** Least milliseconds of each list of calls. */
function least(lists) {
  const times = lists.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < rounds; round++) {
    for (const [i, calls] of lists.entries()) {
      const start = performance.now();
      run(calls);
      times[i] = Math.min(times[i], performance.now() - start);
    }
  }
  return times;
}

/** [one thread, several threads] in milliseconds, without the cost of waking. */
async function balance(plan) {
  const kernels = await loadKernels(await loadModule(undefined, false), undefined);
  const placed = place(plan, kernels, kernels.memory, 1);
  let [one, many] = [0, 0];
  for (const [i, step] of plan.steps.entries()) {
    const parts = placed.steps[i].parts(placed.at(i, 0));
    const [whole] = least([callsOf(parts)]);
    const tasks = worthSplitting(step, plan) ? tasksOf(parts, threads) : [];
    one += whole;
    if (tasks.length < 2) {
      many += whole;
      continue;
    }
    const busy = new Array(threads).fill(0);
    for (const time of least(tasks)) busy[busy.indexOf(Math.min(...busy))] += time;
    many += Math.max(...busy);
  }
  return [one, many];
}

async function onThisMachine(plan, dims) {
  const input = new Int8Array(dims.reduce((product, d) => product * d, 1)).fill(5);
  const sessions = [await createSession(plan), await createSession(plan, { threads })];
  const repeats = input.length < 10_000 ? 20 : 1;
  const times = sessions.map(() => []);
  const cpu = sessions.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, session] of sessions.entries()) {
      const [start, used] = [performance.now(), process.cpuUsage()];
      for (let k = 0; k < repeats; k++) session.run(input);
      times[i].push((performance.now() - start) / repeats);
      const { user, system } = process.cpuUsage(used);
      cpu[i].push((user + system) / 1000 / repeats);
    }
  }
  for (const session of sessions) session[Symbol.dispose]();
  const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];
  return { best: times.map((list) => Math.min(...list)), cpu: cpu.map(median) };
}

await makeModels();
console.log(`|  | balance, 1 → ${threads} threads | clock, best of ${rounds} | CPU time, median |`);
console.log("| --- | --- | --- | --- |");
for (const { name, dims } of models) {
  const bytes = new Uint8Array(readFileSync(`${folder}${name}.halftone`));
  const [one, many] = await balance(await readPlan(bytes));
  const { best, cpu } = await onThisMachine(bytes, dims);
  const cell = (a, b) => `${a.toFixed(2)} → ${b.toFixed(2)} ms (${(a / b).toFixed(2)}×)`;
  console.log(`| ${name} | ${cell(one, many)} | ${cell(...best)} | ${cpu.map((t) => t.toFixed(2)).join(" → ")} ms |`);
}
