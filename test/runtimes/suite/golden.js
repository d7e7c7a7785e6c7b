// What the whole library computes on a small network, as hashes: the same in every runtime and for any number of workers.
// Public names alone, no import of a runtime's own: the one file runs in Node, Deno, Bun and pages.
import {
  createExecutor,
  decodeSample,
  evaluate,
  HalftoneError,
  lower,
  memoryFiles,
  openDataset,
  quantize,
  toQdq,
  withGolden,
  writeModel,
  writePlan,
} from "halftone";
import { createSession } from "halftone/runtime";
import { answer, exampleInput } from "./speed.js";

/** Every kind of arithmetic that ends in a plan: ranges found by search, closed form from Gram matrices, gradients. */
const methods = {
  nearest: {},
  gptq: { weights: 4, activations: 4, method: "gptq-descent", weightRanges: "minmax" },
  adaround: { weights: 4, method: "adaround", weightRanges: "minmax", learning: { iterations: 4 } },
};
const preprocessing = { scale: 1 / 255, mean: [0.286], std: [0.353] };
/** Two tasks of calibration, three of Gram matrices: enough for two workers to overtake each other. */
const samples = 24;

const utf8 = new TextEncoder();
async function hash(value) {
  const bytes = value instanceof Uint8Array ? value : utf8.encode(JSON.stringify(value));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
const bytesOf = ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength);

/** Encodings of all activations: what the statistics became. */
const rangesOf = ({ activations }) =>
  [...activations].map(([name, { bits, scale, zeroPoint }]) => [name, bits, Array.from(scale), Array.from(zeroPoint)]);

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error instanceof HalftoneError ? error.toData() : `${error?.name}: ${error?.message}`;
  }
  return "nothing thrown";
}

/**
 * @param files name → bytes: model.onnx, images.gz, labels.gz, pictures (*.jpg, *.png), and programs large enough for threads (*.halftone)
 * @param workers of the pool; 0 runs in-line
 * @param threads of the integer programs
 * @returns name → hash, and how many threads the programs really had
 */
export async function golden(files, { workers, threads }) {
  const hashes = {};
  const note = async (name, value) => {
    hashes[name] = await hash(value);
  };
  const data = memoryFiles(new Map([...files].map(([name, bytes]) => [name.replace(".gz", "-ubyte.gz"), bytes])));
  const model = files.get("model.onnx");
  const dataset = await openDataset("images-ubyte.gz,labels-ubyte.gz", data);
  const executor = await createExecutor({ workers });
  try {
    let own = threads;
    for (const [name, bytes] of files) {
      if (name.endsWith(".halftone")) {
        const session = await createSession(bytes, { threads });
        own = Math.min(own, session.threads);
        await note(name, answer(session, exampleInput(session)));
        session[Symbol.dispose]();
      }
      const kind = { jpg: "jpeg", png: "png" }[name.split(".").at(-1)];
      if (!kind) continue;
      const picture = await decodeSample({ place: name, bytes, format: { kind }, label: 0 }, { scale: 1, mean: [0], std: [1] }, 3);
      await note(name, bytesOf(picture.values));
    }
    for (const [method, options] of Object.entries(methods)) {
      const input = { model, name: "model.onnx", dataset, preprocessing };
      const quantized = await quantize(input, { ...options, samples }, { executor });
      const plan = await writePlan(await withGolden(lower(quantized)));
      await note(`${method} ranges`, rangesOf(quantized));
      await note(`${method} plan`, plan);
      await note(`${method} QDQ`, writeModel(toQdq(quantized)));
      const session = await createSession(plan, { threads });
      session.verify();
      const raw = await dataset.read(100, 116);
      const codes = raw.map(({ bytes }) => Array.from(Object.values(session.run(bytes))[0].codes));
      session[Symbol.dispose]();
      await note(`${method} outputs`, codes);
      if (method === "gptq") await note("accuracy", await evaluate(plan, dataset, { against: model, limit: samples, executor }));
    }
    // Thrown by a task, so by a worker if there are any: class and fields must arrive.
    const shifted = await openDataset("images-ubyte.gz,labels-ubyte.gz", data, { labelOffset: 9 });
    await note("typed error", await failure(evaluate(model, shifted, { limit: samples, executor })));
    return { hashes, threads: own };
  } finally {
    await executor.close();
  }
}
