import { readFileSync } from "node:fs";
import { beforeAll, expect, test, vi } from "vitest";
import { createEngine } from "../../src/engine/index.ts";
import { instantiateKernels, loadFloat } from "../../src/engine/kernels.ts";
import { LinearMemory } from "../../src/engine/memory.ts";
import type { Engine, Layout } from "../../src/engine/types.ts";
import { HalftoneError } from "../../src/errors.ts";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import { float32, int64s } from "../../src/graph/tensors.ts";
import type { Fact, Graph, GraphNode, Tensor } from "../../src/graph/types.ts";
import { forwardKernels } from "../../src/ops/forward.ts";
import { operators } from "../../src/ops/registry.ts";
import { readModel } from "../../src/onnx/read.ts";
import { dataDir, withData } from "../data.ts";
import { randomOf } from "./single.ts";

const r = randomOf(1);

/** conv → relu → conv + the first relu → global average → reshape → softmax: residual, two layouts, one operator of integers. */
function network(): Graph {
  const node = (op: string, inputs: string[], output: string, attributes: GraphNode["attributes"] = {}): GraphNode => ({
    name: `${op}_${output}`,
    op,
    inputs,
    outputs: [output],
    attributes,
  });
  const pads = { pads: [1, 1, 1, 1] };
  const constants = new Map<string, Tensor>([
    ["w1", r.tensor([8, 3, 3, 3], -0.3, 0.3)],
    ["b1", r.tensor([8])],
    ["w2", r.tensor([8, 8, 3, 3], -0.3, 0.3)],
    ["target", int64s([0, -1])],
  ]);
  return {
    name: "network",
    inputs: ["x"],
    outputs: ["y"],
    nodes: [
      node("Conv", ["x", "w1", "b1"], "c1", pads),
      node("Relu", ["c1"], "r1"),
      node("Conv", ["r1", "w2"], "c2", pads),
      node("Add", ["c2", "r1"], "sum"),
      node("Sign", ["sum"], "sign"),
      node("Mul", ["sign", "sum"], "absolute"),
      node("GlobalAveragePool", ["absolute"], "pooled"),
      node("Reshape", ["pooled", "target"], "flat"),
      node("Softmax", ["flat"], "y"),
    ],
    constants,
    facts: new Map<string, Fact>([["x", { dtype: "float32", dims: ["N", 3, "H", "H"] }]]),
    notes: new Map(),
  };
}

const graph = network();
let engine: Engine;
beforeAll(async () => {
  engine = await createEngine(graph);
});

const feed = (n: number, side = 10): Map<string, Tensor> => new Map([["x", r.tensor([n, 3, side, side])]]);

test("kernels and references take turns, and agree with the references alone", () => {
  const feeds = feed(3);
  const found = engine.run(feeds, { also: ["sum", "sign"] });
  const expected = evaluateReference(graph, feeds, ["sum", "sign"]);
  for (const [name, y] of expected) {
    const z = found.get(name)!;
    expect(z.dims).toEqual(y.dims);
    y.data.forEach((v, i) => void expect(Number(z.data[i])).toBeCloseTo(Number(v), 5));
  }
});

test("a sample's result has the same bits whatever batch it is in", () => {
  const whole = feed(5);
  const all = engine.run(whole).get("y")!.data as Float32Array;
  const { data } = whole.get("x")!;
  for (let i = 0; i < 5; i++) {
    const one = engine.run(new Map([["x", float32([1, 3, 10, 10], (data as Float32Array).slice(i * 300, i * 300 + 300))]]));
    expect([...(one.get("y")!.data as Float32Array)]).toEqual([...all.slice(i * 8, i * 8 + 8)]);
  }
});

test("memory depends on the batch, not on the number of runs", async () => {
  const fresh = await createEngine(graph);
  const sizes = [1, 4, 2];
  for (const n of sizes) fresh.run(feed(n));
  const bytes = fresh.memory.buffer.byteLength;
  const { peakBytes } = fresh;
  for (let i = 0; i < 50; i++) fresh.run(feed(sizes[i % 3]!));
  expect(fresh.memory.buffer.byteLength).toBe(bytes);
  expect(fresh.peakBytes).toBe(peakBytes);
});

test("memory grows for a larger batch, and the results stay right", async () => {
  const fresh = await createEngine(graph);
  fresh.run(feed(1));
  const before = fresh.memory.buffer.byteLength;
  const feeds = feed(40, 24);
  const y = fresh.run(feeds).get("y")!.data as Float32Array;
  expect(fresh.memory.buffer.byteLength).toBeGreaterThan(before);
  expect([...y]).toEqual([...(engine.run(feeds).get("y")!.data as Float32Array)]);
});

test("values are written over only when nobody reads them again", async () => {
  const node = (op: string, inputs: string[], output: string): GraphNode => ({
    name: output,
    op,
    inputs,
    outputs: [output],
    attributes: {},
  });
  const nodes = [
    node("Relu", ["x"], "a"),
    node("Mul", ["a", "x"], "b"), // x lives on
    node("Sub", ["x", "b"], "c"),
    node("Add", ["c", "c"], "d"), // both operands are the same value
    node("Sum", ["d", "a", "d"], "e"), // the third operand is the first again
    node("Neg", ["e"], "f"), // e is an output too
  ];
  const facts = new Map<string, Fact>([["x", { dtype: "float32", dims: [2, 3, 5] }]]);
  const reuse: Graph = { name: "reuse", inputs: ["x"], outputs: ["e", "f"], nodes, constants: new Map(), facts, notes: new Map() };
  const feeds = new Map([["x", r.tensor([2, 3, 5])]]);
  const found = (await createEngine(reuse)).run(feeds);
  for (const [name, { data }] of evaluateReference(reuse, feeds)) {
    data.forEach((v, i) => void expect(Number(found.get(name)!.data[i])).toBeCloseTo(Number(v), 5));
  }
});

test("what depends on constants alone is computed once, shown every time, and steers kernels like any constant", async () => {
  const nodes: GraphNode[] = [
    { name: "cast", op: "Cast", inputs: ["six"], outputs: ["bound"], attributes: { to: 1 } },
    { name: "clip", op: "Clip", inputs: ["x", "", "bound"], outputs: ["y"], attributes: {} },
  ];
  const constants = new Map<string, Tensor>([["six", { dtype: "int32", dims: [], data: Int32Array.of(6) }]]);
  const facts = new Map<string, Fact>([["x", { dtype: "float32", dims: ["N"] }]]);
  const clipped = await createEngine({ name: "clip", inputs: ["x"], outputs: ["y"], nodes, constants, facts, notes: new Map() });
  const kernel = vi.spyOn(forwardKernels.get("Clip")!, "run");
  const cast = vi.spyOn(operators.get("Cast")!, "reference");
  for (let i = 0; i < 3; i++) {
    const seen: string[] = [];
    const x = float32([4], [-1, 5, 6, 7 + i]);
    const y = clipped.run(new Map([["x", x]]), { taps: new Set(["bound"]), tap: (name) => seen.push(name) }).get("y")!;
    expect([...y.data]).toEqual([-1, 5, 6, 6]);
    expect(seen).toEqual(["bound"]);
  }
  expect(kernel).toHaveBeenCalledTimes(3);
  expect(cast).toHaveBeenCalledTimes(1);
});

test("a constant may be what a convolution reads, and a fed value its weights", async () => {
  const nodes: GraphNode[] = [{ name: "conv", op: "Conv", inputs: ["image", "w"], outputs: ["y"], attributes: {} }];
  const facts = new Map<string, Fact>([["w", { dtype: "float32", dims: [4, 3, 3, 3] }]]);
  const constants = new Map([["image", r.tensor([1, 3, 6, 6])]]);
  const turned: Graph = { name: "turned", inputs: ["w"], outputs: ["y"], nodes, constants, facts, notes: new Map() };
  const feeds = new Map([["w", r.tensor([4, 3, 3, 3])]]);
  const found = (await createEngine(turned)).run(feeds).get("y")!;
  const expected = evaluateReference(turned, feeds).get("y")!;
  expected.data.forEach((v, i) => void expect(Number(found.data[i])).toBeCloseTo(Number(v), 5));
});

test("a failed run leaves no memory behind", async () => {
  const fresh = await createEngine(graph);
  fresh.run(feed(2));
  const { peakBytes } = fresh;
  for (let i = 0; i < 5; i++) {
    expect(() => fresh.run(feed(2), { taps: new Set(["sum"]), tap: () => fail() })).toThrow("stop");
  }
  fresh.run(feed(2));
  expect(fresh.peakBytes).toBe(peakBytes);
});

function fail(): never {
  throw new Error("stop");
}

test("taps see values in order of execution, while they live, in the layout they have", () => {
  const seen: [string, readonly number[], Layout][] = [];
  const feeds = feed(2);
  const result = engine.run(feeds, {
    taps: new Set(["y", "c1", "x", "sign"]),
    also: ["c1"],
    tap: (name, value) => {
      seen.push([name, value.dims, value.layout]);
      if (name === "c1") copy = engine.read(value);
      expect(value.ptr % 16).toBe(0);
    },
  });
  expect(seen).toEqual([
    ["x", [2, 3, 10, 10], "row-major"],
    ["c1", [2, 8, 10, 10], "channels-last"],
    ["sign", [2, 8, 10, 10], "row-major"],
    ["y", [2, 8], "row-major"],
  ]);
  expect(copy).toEqual(result.get("c1"));
});
let copy: Tensor | undefined;

const refusals: [string, Map<string, Tensor>, string, RegExp][] = [
  ["nothing", new Map(), "INPUT_MISSING", /'x'/],
  ["one too many", new Map([...feed(1), ["z", float32([], [1])]]), "INPUT_MISMATCH", /'z'/],
  ["another rank", new Map([["x", float32([3, 4], new Float32Array(12))]]), "INPUT_MISMATCH", /\[3, 4\].*\[N, 3, H, H\]/],
  ["another size", new Map([["x", float32([1, 2, 4, 4], new Float32Array(32))]]), "INPUT_MISMATCH", /axis 1: 3/],
  ["two sizes for one symbol", new Map([["x", float32([1, 3, 4, 5], new Float32Array(60))]]), "INPUT_MISMATCH", /axis 3: 4/],
  ["too few elements", new Map([["x", float32([1, 3, 4, 4], new Float32Array(47))]]), "INPUT_MISMATCH", /47 elements.*48/],
  ["another type", new Map([["x", { dtype: "int32", dims: [1, 3, 2, 2], data: new Int32Array(12) }]]), "INPUT_MISMATCH", /int32.*float32/],
];

test.for(refusals)("feeds: %s is refused", ([, feeds, code, message]) => {
  let error: unknown;
  try {
    engine.run(feeds);
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(HalftoneError);
  expect((error as HalftoneError).code).toBe(code);
  expect((error as HalftoneError).message).toMatch(message);
});

test("a missing module is told with its place", async () => {
  await expect(loadFloat(new URL("file:///nowhere/float.wasm"))).rejects.toMatchObject({ code: "WASM_UNAVAILABLE" });
});

test("linear memory: blocks are aligned, apart, reused, and merge again", async () => {
  const kernels = await instantiateKernels(await loadFloat());
  const memory = new LinearMemory(kernels.memory, kernels.heapBase());
  const taken = new Map<number, number>();
  for (let i = 0; i < 3000; i++) {
    const [any] = taken.keys();
    if (any !== undefined && r.int(0, 1)) {
      memory.free(any);
      taken.delete(any);
      continue;
    }
    const bytes = r.int(0, 5000);
    const ptr = memory.allocate(bytes);
    expect(ptr % 16).toBe(0);
    const apart = [...taken].every(([start, length]) => ptr >= start + length + 16 || ptr + bytes + 16 <= start);
    expect(apart).toBe(true);
    taken.set(ptr, bytes);
  }
  for (const ptr of taken.keys()) memory.free(ptr);
  const start = memory.allocate(16);
  memory.free(start);
  // All space is one block again: as large a request as ever was in use fits without growth.
  const size = kernels.memory.buffer.byteLength;
  expect(memory.allocate(size - start - 64)).toBe(start);
  expect(kernels.memory.buffer.byteLength).toBe(size);
});

test("more memory than there is", async () => {
  const kernels = await instantiateKernels(await loadFloat());
  const memory = new LinearMemory(kernels.memory, kernels.heapBase());
  expect(() => memory.allocate(2 ** 33)).toThrow(HalftoneError);
  expect(() => memory.allocate(2 ** 33)).toThrow(/8589934608 bytes/);
});

const networks = [
  "cifar10/resnet20",
  "fashion/mobilenetv2",
  "fashion/resnet20",
  "fashion/vit",
  "imagenet/mobilenetv2",
  "imagenet/squeezenet11",
  "kws/dscnn",
  "mnist/lenet",
];

withData.for(networks)("%s gives each sample the same bits in any batch", async (name) => {
  const model = await createEngine(readModel(new Uint8Array(readFileSync(`${dataDir}/${name}/model.onnx`))));
  const [input] = model.graph.inputs;
  const dims = model.graph.facts.get(input!)!.dims!.slice(1).map(Number);
  const size = dims.reduce((a, b) => a * b);
  const count = size > 10_000 ? 3 : 9;
  const x = r.tensor([count, ...dims]).data as Float32Array;
  const run = (start: number, end: number): number[] => {
    const y = model.run(new Map([[input!, float32([end - start, ...dims], x.slice(start * size, end * size))]]));
    return [...(y.get(model.graph.outputs[0]!)!.data as Float32Array)];
  };
  const parts = [...run(0, 1), ...run(1, 3), ...(count > 3 ? run(3, count) : [])];
  expect(parts).toEqual(run(0, count));
});
