// The row of workerd: it runs programs, but quantizes nothing, as it neither compiles modules at run time nor has workers.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const packages = new URL("../../examples/edge/node_modules/", import.meta.url);
const rounds = 21;
/** Above the price of a request. */
const leastMilliseconds = 20;

async function speed(server, url, plan) {
  let codes = [];
  const time = async (runs) => {
    const started = performance.now();
    codes = await (await server.dispatchFetch(`${url}?plan=${plan}&runs=${runs}`)).json();
    return performance.now() - started;
  };
  let runs = 1;
  const warmUntil = performance.now() + 500;
  while (performance.now() < warmUntil) if ((await time(runs)) < leastMilliseconds) runs *= 2;
  const [requests, whole] = [[], []];
  for (let round = 0; round < rounds; round++) {
    requests.push(await time(0));
    whole.push(await time(runs));
  }
  for (const list of [requests, whole]) list.sort((a, b) => a - b);
  const each = (at) => (whole[at] - requests[at]) / runs;
  return { median: each(rounds >> 1), best: each(0), codes };
}

export const workerd = {
  name: "workerd",
  found: existsSync(new URL("miniflare/package.json", packages)),
  install: "npm install --prefix examples/edge",
  async run({ folder }, { plans }) {
    const { Miniflare } = await import(new URL("miniflare/dist/src/index.js", packages).href);
    const own = (name) => join(folder, name);
    const shipped = (name) => readFileSync(own(`node_modules/halftone/dist/${name}`));
    const script = (name) => readFileSync(own(name), "utf8").replace('"halftone/runtime"', '"./runtime.js"');
    const server = new Miniflare({
      compatibilityDate: "2026-04-01",
      modules: [
        { type: "ESModule", path: "workerd.js", contents: script("workerd.js") },
        { type: "ESModule", path: "speed.js", contents: script("speed.js") },
        { type: "ESModule", path: "runtime.js", contents: shipped("runtime.js").toString() },
        { type: "CompiledWasm", path: "integer.wasm", contents: shipped("integer.wasm") },
      ],
      dataBlobBindings: Object.fromEntries(plans.map((name) => [name, own(`fixtures/${name}`)])),
    });
    try {
      const url = await server.ready;
      const times = {};
      for (const name of plans) times[name] = await speed(server, url, name);
      const { version } = JSON.parse(readFileSync(new URL("workerd/package.json", packages)));
      return { version, simd: true, sharedMemory: false, workers: "none", passes: [], times };
    } finally {
      await server.dispose();
    }
  },
};
