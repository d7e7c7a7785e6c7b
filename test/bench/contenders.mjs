// One comparison: the same network, or the same product, in several engines. Nothing here knows Node or a page.
import { compare, instantiateBare } from "./rounds.mjs";

/** A fixed input, the same for every engine. */
const ramp = (length) => Float32Array.from({ length }, (_, i) => ((i * 37) % 256) / 64 - 2);

async function ortRun(ort, model, feeds) {
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  const inputs = Object.fromEntries(session.inputNames.map((name) => [name, feeds(ort, name)]));
  await session.run(inputs);
  return () => session.run(inputs);
}

/** Bytes in, bytes out: this engine quantizes nothing, which the others do. */
async function liteRtRun({ loadAndCompile, Tensor }, model, data) {
  const compiled = await loadAndCompile(model, { accelerator: "wasm", cpuOptions: { numThreads: 1 } });
  const input = new Tensor(
    Uint8Array.from(data, (x) => x * 32 + 128),
    [...compiled.getInputDetails()[0].shape],
  );
  return async () => {
    for (const output of Object.values(await compiled.run(input))) {
      output.toTypedArray();
      output.delete();
    }
  };
}

/**
 * @param engines { ort, createSession, liteRt? }
 * @param files   { plan, int8, float, tflite }: bytes
 */
export async function network(engines, { dims, files }) {
  const data = ramp(dims.reduce((product, d) => product * d, 1));
  const feeds = (ort) => new ort.Tensor("float32", data, [1, ...dims]);
  const session = await engines.createSession(files.plan);
  const rows = [
    { name: "halftone", run: () => void session.run(data) },
    { name: "ort int8", run: await ortRun(engines.ort, files.int8, feeds) },
    { name: "ort float", run: await ortRun(engines.ort, files.float, feeds) },
  ];
  if (engines.liteRt) rows.push({ name: "litert int8", run: await liteRtRun(engines.liteRt, files.tflite, data) });
  return rows;
}

/** 512³: int8 with 32-bit results, and float. */
export async function products(engines, { size, files }) {
  const { ort, createSession } = engines;
  const codes = Int8Array.from({ length: size * size }, (_, i) => ((i * 37) % 256) - 128);
  const session = await createSession(files.plan);
  const uint8 = (o) => new o.Tensor("uint8", new Uint8Array(codes.map((c) => c ^ -128).buffer), [size, size]);
  const float = (o) => new o.Tensor("float32", ramp(size * size), [size, size]);
  const rows = [
    { name: "halftone", run: () => void session.run(codes) },
    { name: "ort int8", run: await ortRun(ort, files.int8, uint8) },
    { name: "ort float", run: await ortRun(ort, files.float, float) },
  ];
  if (engines.floatProduct) rows.push({ name: "halftone float", run: await engines.floatProduct(size) });
  return rows;
}

const kinds = { network, products };

/** @param job { kind, dims | size, files, bare, rounds } */
export async function measure(engines, job) {
  const bare = { int8: await instantiateBare(job.bare.int8), f32: await instantiateBare(job.bare.f32) };
  return compare(await kinds[job.kind](engines, job), bare, job.rounds);
}
