import { readFileSync } from "node:fs";
import ort from "../peers/ort-web.mjs";
import { report } from "./report.mjs";

const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(process.argv[2])), { executionProviders: ["wasm"] });
const dims = [1, 3, Number(process.argv[3]), Number(process.argv[3])];
await session.run({
  [session.inputNames[0]]: new ort.Tensor("float32", new Float32Array(dims.reduce((product, d) => product * d, 1)), dims),
});
report({ linear: 0 });
