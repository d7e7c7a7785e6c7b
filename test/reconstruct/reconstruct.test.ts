import { expect, test } from "vitest";
import { createEngine } from "../../src/engine/index.ts";
import { HalftoneError } from "../../src/errors.ts";
import { prepare } from "../../src/graph/prepare.ts";
import { lower } from "../../src/lower/lower.ts";
import { readModel } from "../../src/onnx/read.ts";
import { hardenedGraph } from "../../src/onnx/hardened.ts";
import { writeModel } from "../../src/onnx/write.ts";
import { writePlan } from "../../src/plan/writer.ts";
import { chooseMethod } from "../../src/reconstruct/choose.ts";
import { presets } from "../../src/reconstruct/presets.ts";
import { findParts } from "../../src/reconstruct/scopes.ts";
import { createSession } from "../../src/runtime/index.ts";
import { dataset, fingerprint, model, run, samples } from "./network.ts";

const short = { iterations: 120, rate: 2e-2 } as const;
const first = await run({ method: "qdrop", learning: short });

test("parts are what stands between single values; nothing is left out", () => {
  const graph = prepare(readModel(model));
  const blocks = findParts(graph, "block");
  expect(blocks.map(({ inputs, outputs }) => [...inputs, ...outputs])).toEqual([
    ["x", "r0"],
    ["r0", "r2"],
    ["r2", "r4"],
    ["r4", "y"],
  ]);
  const layers = findParts(graph, "layer");
  expect(layers.length).toBe(7);
  for (const parts of [blocks, layers]) expect(parts.flatMap(({ nodes }) => nodes).length).toBe(graph.nodes.length);
});

test("each part's error falls, hardened and quantized as the program is", () => {
  expect(first.parts.length).toBe(4);
  for (const { lossBefore, lossAfter, name } of first.parts.slice(1, 3)) expect(lossAfter, name).toBeLessThan(0.9 * lossBefore);
  for (const { lossBefore, lossAfter } of first.parts) expect(lossAfter).toBeLessThan(1.02 * lossBefore);
  expect(first.parts.some(({ moved }) => moved > 0)).toBe(true);
});

test.for(["adaround", "brecq", "flexround", "pd-quant", "nupes"])("%s learns too", async (method) => {
  const learning = method === "flexround" ? { iterations: 120, rate: 1e-2 } : short;
  const { parts } = await run({ method, learning });
  const sum = (key: "lossBefore" | "lossAfter"): number => parts.slice(0, -1).reduce((total, part) => total + part[key], 0);
  expect(sum("lossAfter")).toBeLessThan(0.9 * sum("lossBefore"));
});

test("outputs weighted by what the answer makes of them", async () => {
  const { parts } = await run({ method: "brecq", learning: { ...short, objective: "fisher" } });
  const sum = (key: "lossBefore" | "lossAfter"): number => parts.slice(0, -1).reduce((total, part) => total + part[key], 0);
  expect(sum("lossAfter")).toBeLessThan(0.9 * sum("lossBefore"));
});

test("the integer program makes the outputs that learning ended with", async () => {
  const session = await createSession(await writePlan(lower(first.quantized)));
  const engine = await createEngine(prepare(readModel(model)));
  let square = 0;
  for (const [i, { bytes }] of (await dataset.read(0, samples)).entries()) {
    const data = new Float32Array(bytes.buffer, bytes.byteOffset, 192);
    const float = engine.run(new Map([["x", { dtype: "float32", dims: [1, 3, 8, 8], data }]])).get("y")!.data as Float32Array;
    const { values } = session.run({ x: data }).y!;
    expect(values.length, `sample ${i}`).toBe(5);
    values.forEach((v, k) => {
      square += (v - float[k]!) ** 2 / samples;
    });
  }
  const { lossAfter } = first.parts.at(-1)!;
  expect(Math.abs(square - lossAfter)).toBeLessThan(0.02 * lossAfter);
});

test("first and last layer keep 8 bits, learned codes stay within theirs", () => {
  const { weights, activations, sites } = first.quantized;
  expect([...weights].map(([name, { encoding }]) => [name, encoding.bits])).toEqual([
    ["c0", 8],
    ["c1", 2],
    ["c2", 2],
    ["c3", 2],
    ["c4", 2],
    ["p", 2],
    ["y", 8],
  ]);
  for (const { codes, encoding } of weights.values()) {
    const { lo, hi } = encoding.levels as { lo: number; hi: number };
    expect(codes.every((c) => c >= lo && c <= hi)).toBe(true);
  }
  expect(activations.get("x")!.bits).toBe(8);
  expect(activations.get("f")!.bits).toBe(8);
  expect(activations.get("r0")!.bits).toBe(4);
  expect(activations.get("g")!.scale).toEqual(activations.get("f")!.scale);
  expect(sites.length).toBeGreaterThan(0);
});

test("the same seed gives the same bytes, another seed others", async () => {
  const learning = { iterations: 10, rate: 1e-2 };
  const one = fingerprint((await run({ method: "qdrop", learning, seed: 3 })).quantized);
  expect(fingerprint((await run({ method: "qdrop", learning, seed: 3 })).quantized)).toBe(one);
  expect(fingerprint((await run({ method: "qdrop", learning, seed: 4 })).quantized)).not.toBe(one);
});

test("codes of a power grid run as integer levels: the program makes the outputs that learning ended with", async () => {
  const { quantized, parts } = await run({ method: "nupes", weights: 4, activations: 8, learning: { iterations: 20 } });
  const [c1, y] = [quantized.weights.get("c1")!, quantized.weights.get("y")!];
  expect(c1.encoding.levels.kind).toBe("table");
  expect(new Set(c1.codes).size).toBeGreaterThan(8);
  expect(y.encoding.levels.kind).toBe("linear");
  const float = writeModel(hardenedGraph(quantized));
  const engine = await createEngine(prepare(readModel(float)));
  const session = await createSession(await writePlan(lower(quantized)));
  let [square, power] = [0, 0];
  for (const { bytes } of await dataset.read(0, 8)) {
    const data = new Float32Array(bytes.buffer, bytes.byteOffset, 192);
    const expected = engine.run(new Map([["x", { dtype: "float32", dims: [1, 3, 8, 8], data }]])).get("y")!.data as Float32Array;
    session.run({ x: data }).y!.values.forEach((v, k) => {
      square += (v - expected[k]!) ** 2;
      power += expected[k]! ** 2;
    });
  }
  // What is left is the 8-bit activations' error.
  expect(square).toBeLessThan(1e-3 * power);
  expect(parts.length).toBe(4);
});

test("a killed run continues from its last part to the same bytes", async () => {
  const kept = new Map<string, Uint8Array>();
  const checkpoints = {
    get: async (name: string) => kept.get(name),
    put: async (name: string, bytes: Uint8Array) => void kept.set(name, bytes),
  };
  const abort = new AbortController();
  const killed = run(
    { method: "qdrop", learning: short },
    { checkpoints, signal: abort.signal, onPart: (_, part) => part === 1 && abort.abort() },
  );
  await expect(killed).rejects.toMatchObject({ code: "CANCELLED" });
  expect([...kept.keys()]).toEqual(["part-0", "part-1"]);
  const resumed = await run({ method: "qdrop", learning: short }, { checkpoints });
  expect(fingerprint(resumed.quantized)).toBe(fingerprint(first.quantized));
  expect(resumed.parts).toEqual(first.parts);
});

test("nearest learns nothing", async () => {
  const { quantized, parts } = await run({ method: "nearest" });
  expect(parts).toEqual([]);
  expect(quantized.weights.size).toBe(7);
});

test("a cell of a row is exchanged, and told where it cannot be", () => {
  const options = { method: "qdrop", learning: {}, floatActivations: false };
  expect(chooseMethod(options)).toEqual(presets.qdrop);
  const other = chooseMethod({ ...options, learning: { iterations: 500, drop: 0.25, scaleRate: 0, scope: "layer" } });
  expect(other).toMatchObject({
    scope: "layer",
    inputKeep: 0.75,
    schedule: { iterations: 500, batch: 32 },
    activations: { keep: 0.75, rate: 0 },
  });
  expect(chooseMethod({ ...options, floatActivations: true })).toMatchObject({ activations: { kind: "float" }, inputKeep: 1 });
  for (const wrong of [{ drop: 1 }, { iterations: 0.5 }, { rate: -1 }, { nothing: 1 }, { optimizer: "adagrad" }]) {
    expect(() => chooseMethod({ ...options, learning: wrong as object })).toThrow(HalftoneError);
  }
  expect(() => chooseMethod({ ...options, method: "best" })).toThrow(/nearest, adaround, brecq/);
});
