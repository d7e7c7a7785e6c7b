// Bundle sizes, first and later requests:   node measure.mjs MODEL.halftone PICTURE.png      after npm install
// Clock on loopback: a request that is refused at once shows what of it is HTTP.
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { EdgeRuntime } from "edge-runtime";
import { Miniflare } from "miniflare";
import { vm, workerd } from "./runtimes.mjs";

const [model, picture] = process.argv.slice(2);
copyFileSync(model, "model.halftone");
execFileSync(process.execPath, ["build.mjs"], { stdio: "inherit" });
const body = readFileSync(picture);

const kB = (bytes) => (bytes / 1000).toFixed(0);
const sizes = (...names) => names.map((name) => readFileSync(`dist/${name}`)).reduce((sum, file) => [sum[0] + file.length, sum[1] + gzipSync(file).length], [0, 0]);
const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];

async function time(task) {
  const started = performance.now();
  const answer = await task();
  return [performance.now() - started, answer];
}

async function requests(send) {
  const [first, answer] = await time(() => send("POST"));
  const [later, refused] = [[], []];
  for (let i = 0; i < 200; i++) {
    later.push((await time(() => send("POST")))[0]);
    refused.push((await time(() => send("GET")))[0]);
  }
  return { first, later: median(later), refused: median(refused), label: JSON.parse(answer).classes[0].label };
}

async function inWorkerd() {
  const server = new Miniflare(workerd("dist"));
  const [start, url] = await time(() => server.ready);
  const times = await requests(async (method) => (await server.dispatchFetch(url, { method, body: method === "POST" ? body : undefined })).text());
  await server.dispose();
  return { start, ...times };
}

async function inVm() {
  const [start, machine] = await time(() => new EdgeRuntime(vm("dist")));
  const send = async (method) => (await machine.dispatchFetch("https://edge/", { method, body: method === "POST" ? body : undefined })).text();
  return { start, ...(await requests(send)) };
}

console.log("| runtime | kB (gzipped) | with the model | start ms | first request ms | later | refused at once | says |");
console.log("| --- | --- | --- | --- | --- | --- | --- | --- |");
for (const [name, files, run] of [
  ["workerd", [["workerd.js", "integer.wasm"], ["workerd.js", "integer.wasm", "model.halftone"]], inWorkerd],
  ["generic VM", [undefined, ["vm.js"]], inVm],
]) {
  const [bare, whole] = files.map((list) => (list ? sizes(...list).map(kB) : undefined));
  const { start, first, later, refused, label } = await run();
  const row = [name, bare ? `${bare[0]} (${bare[1]})` : "", `${whole[0]} (${whole[1]})`, start.toFixed(0), first.toFixed(1), later.toFixed(2), refused.toFixed(2), label];
  console.log(`| ${row.join(" | ")} |`);
}
process.exit(0);
