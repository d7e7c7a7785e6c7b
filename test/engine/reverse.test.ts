import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createEngine } from "../../src/engine/index.ts";
import { createDifferentiable } from "../../src/engine/reverse.ts";
import type { DeviceTensor, Differentiable, DifferentiableOptions, Layout } from "../../src/engine/types.ts";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import { prepare } from "../../src/graph/prepare.ts";
import { float32 } from "../../src/graph/tensors.ts";
import type { Graph, Tensor } from "../../src/graph/types.ts";
import { findBlocks } from "../../src/graph/units.ts";
import { readModel } from "../../src/onnx/read.ts";
import { dataDir, withData } from "../data.ts";
import { graphOf, node } from "../graph/build.ts";
import { randomOf } from "./single.ts";

const r = randomOf(5);
const pads = { pads: [1, 1, 1, 1] };

/** Two residual units and a head: fan-out, both layouts, and values that several gradients meet in. */
const graph: Graph = graphOf(
  { x: ["N", 3, 8, 8] },
  [
    node("stem = Conv(x, w0)", pads),
    node("s = Relu(stem)"),
    node("a1 = Conv(s, w1)", pads),
    node("a2 = Relu(a1)"),
    node("a3 = Conv(a2, w2)", pads),
    node("a4 = Add(a3, s)"),
    node("a = Relu(a4)"),
    node("b1 = Conv(a, w3)", { ...pads, strides: [2, 2] }),
    node("b2 = Clip(b1, low, high)"),
    node("b3 = Conv(b2, w4)", pads),
    node("b4 = Conv(a, w5)", { strides: [2, 2] }),
    node("b5 = Add(b3, b4)"),
    node("b = Relu(b5)"),
    node("p = GlobalAveragePool(b)"),
    node("f = Flatten(p)"),
    node("y = Gemm(f, w6, c6)"),
  ],
  {
    w0: r.tensor([8, 3, 3, 3], -0.4, 0.4),
    w1: r.tensor([8, 8, 3, 3], -0.3, 0.3),
    w2: r.tensor([8, 8, 3, 3], -0.3, 0.3),
    w3: r.tensor([12, 8, 3, 3], -0.3, 0.3),
    w4: r.tensor([12, 12, 3, 3], -0.3, 0.3),
    w5: r.tensor([12, 8, 1, 1]),
    w6: r.tensor([12, 5]),
    c6: r.tensor([5]),
    low: float32([], [0]),
    high: float32([], [1.5]),
  },
);
const weights = ["w0", "w1", "w2", "w3", "w4", "w5", "w6", "c6"];
const parameters = ["x", "a", "b2", ...weights];

const sizeOf = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

function buffer(d: Differentiable, dims: readonly number[], layout: Layout = "row-major"): DeviceTensor {
  const ptr = d.allocate(sizeOf(dims) * 4);
  d.kernels.fill(ptr, 0, sizeOf(dims));
  return { dims, layout, ptr };
}

/** Gradients of Σ seed · output by parameter. */
function gradientsOf(
  d: Differentiable,
  feeds: ReadonlyMap<string, Tensor>,
  seeds: ReadonlyMap<string, Tensor>,
  names: readonly string[] = parameters,
): Map<string, Float32Array> {
  const dims = dimsOf(d.graph, feeds);
  const sums = new Map(names.map((name) => [name, buffer(d, dims.get(name)!)]));
  d.forward(feeds);
  d.backward(seeds, sums);
  const found = new Map([...sums].map(([name, sum]) => [name, d.read(sum).data as Float32Array]));
  for (const { ptr } of sums.values()) d.release(ptr);
  return found;
}

/** Sizes of all values for these feeds. */
function dimsOf(whole: Graph, feeds: ReadonlyMap<string, Tensor>): Map<string, readonly number[]> {
  const names = whole.nodes.flatMap(({ outputs }) => outputs);
  const values = evaluateReference(whole, feeds, names);
  return new Map([...whole.constants, ...feeds, ...values].map(([name, { dims }]) => [name, dims]));
}

const x = r.tensor([4, 3, 8, 8]);
const feeds = new Map([["x", x]]);
const seeds = new Map([["y", r.tensor([4, 5])]]);
const make = (options: Partial<DifferentiableOptions> = {}): Promise<Differentiable> =>
  createDifferentiable(graph, { parameters, ...options });

function difference(a: Float32Array, b: Float32Array): number {
  const scale = a.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  return a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i]!)), 0) / scale;
}

function expectClose(found: ReadonlyMap<string, Float32Array>, expected: ReadonlyMap<string, Float32Array>, bound: number): void {
  for (const [name, values] of expected) expect(difference(values, found.get(name)!), name).toBeLessThan(bound);
}

test("forward is the engine's, to the bit", async () => {
  const d = await make();
  const y = d.read(d.forward(feeds).get("y")!);
  expect(y).toEqual((await createEngine(graph)).run(feeds).get("y"));
});

test("the same bits every time, and with values made again instead of kept", async () => {
  const d = await make();
  const first = gradientsOf(d, feeds, seeds);
  expect(gradientsOf(d, feeds, seeds)).toEqual(first);
  expect(gradientsOf(await make({ recompute: "segments" }), feeds, seeds)).toEqual(first);
  for (const values of first.values()) expect(values.some((v) => v !== 0)).toBe(true);
});

test("memory rests after the first step, and recomputation needs less than half of it in a deep network", async () => {
  const nodes = Array.from({ length: 30 }, (_, i) => [node(`c${i} = Conv(r${i}, w)`, pads), node(`r${i + 1} = Relu(c${i})`)]).flat();
  const deep = graphOf({ r0: ["N", 8, 8, 8] }, nodes, { w: graph.constants.get("w1")! });
  const given = new Map([["r0", r.tensor([64, 8, 8, 8])]]);
  const seed = new Map([["r30", r.tensor([64, 8, 8, 8])]]);
  const results: Float32Array[] = [];
  const peaks: number[] = [];
  for (const recompute of ["none", "segments"] as const) {
    const d = await createDifferentiable(deep, { parameters: ["w"], recompute });
    const sum = new Map([["w", buffer(d, [8, 8, 3, 3])]]);
    const step = (): void => {
      d.forward(given);
      d.backward(seed, sum);
    };
    step();
    results.push(d.read(sum.get("w")!).data as Float32Array);
    const { peakBytes } = d;
    for (let i = 0; i < 5; i++) step();
    expect(d.peakBytes).toBe(peakBytes);
    peaks.push(peakBytes);
  }
  expect(results[1]).toEqual(results[0]);
  expect(peaks[1]).toBeLessThan(peaks[0]! / 2);
});

test("gradients of a batch are the sums of those of its samples, added up by the caller's buffers", async () => {
  const d = await make({ parameters: weights });
  const whole = gradientsOf(d, feeds, seeds, weights);
  const sums = new Map(weights.map((name) => [name, buffer(d, graph.constants.get(name)!.dims)]));
  for (let i = 0; i < 4; i++) {
    const one = (t: Tensor): Tensor => {
      const n = t.data.length / 4;
      return float32([1, ...t.dims.slice(1)], (t.data as Float32Array).slice(i * n, i * n + n));
    };
    d.forward(new Map([["x", one(x)]]));
    d.backward(new Map([["y", one(seeds.get("y")!)]]), sums);
  }
  expectClose(new Map([...sums].map(([name, sum]) => [name, d.read(sum).data as Float32Array])), whole, 2e-5);
});

test("parts of a graph have the gradients of the whole", async () => {
  const whole = await make();
  const all = gradientsOf(whole, feeds, seeds);
  whole.forward(feeds);
  const value = (await createEngine(graph)).run(feeds, { also: ["s", "a"] });
  const tail = await make({ inputs: ["a"], outputs: ["y"], parameters: ["a", "b2", "w3", "w4", "w5", "w6", "c6"] });
  const after = gradientsOf(tail, new Map([["a", value.get("a")!]]), seeds, ["a", "b2", "w3", "w4", "w5", "w6", "c6"]);
  for (const [name, values] of after) expect(values, name).toEqual(all.get(name));
  const unit = await make({ inputs: ["s"], outputs: ["a"], parameters: ["s", "w1", "w2"] });
  const seed = new Map([["a", float32([4, 8, 8, 8], after.get("a")!)]]);
  const inner = gradientsOf(unit, new Map([["s", value.get("s")!]]), seed, ["w1", "w2"]);
  for (const [name, values] of inner) expect(values, name).toEqual(all.get(name));
});

test("device buffers in either layout, as feeds, gradients and sums", async () => {
  const expected = gradientsOf(await make(), feeds, seeds);
  const d = await make({ inputs: ["s"], outputs: ["a"], parameters: ["s", "w1"] });
  const engine = await createEngine(graph);
  const value = engine.run(feeds, { also: ["s", "a"] });
  const place = (tensor: Tensor, layout: Layout): DeviceTensor => {
    const to = buffer(d, tensor.dims, layout);
    const [n, c, h, w] = tensor.dims as [number, number, number, number];
    const view = new Float32Array(d.memory.buffer, to.ptr, tensor.data.length);
    tensor.data.forEach((v, i) => {
      const [image, channel, pixel] = [Math.floor(i / (c * h * w)), Math.floor(i / (h * w)) % c, i % (h * w)];
      view[layout === "row-major" ? i : (image * h * w + pixel) * c + channel] = Number(v);
    });
    expect(n).toBe(4);
    return to;
  };
  const gradient = float32([4, 8, 8, 8], expected.get("a")!);
  const results = (["row-major", "channels-last"] as const).map((layout) => {
    const input = place(value.get("s")!, layout);
    const before = d.read(input);
    const seed = place(gradient, layout);
    const sums = new Map([
      ["s", buffer(d, [4, 8, 8, 8], layout)],
      ["w1", buffer(d, [8, 8, 3, 3])],
    ]);
    const y = d.read(d.forward(new Map([["s", input]])).get("a")!);
    d.backward(new Map([["a", seed]]), sums);
    expect(d.read(input)).toEqual(before);
    expect(d.read(seed)).toEqual(gradient);
    expect(y).toEqual(value.get("a"));
    return [...sums.values()].map((sum) => d.read(sum).data);
  });
  expect(results[1]).toEqual(results[0]);
  expect(results[0]![1]).toEqual(expected.get("w1"));
});

test("a variable is overwritten between steps, and nothing packed outlives one", async () => {
  const d = await make({ parameters: weights });
  gradientsOf(d, feeds, seeds, weights);
  const changed = new Map(graph.constants);
  for (const name of weights) {
    const { dims } = graph.constants.get(name)!;
    const other = r.tensor(dims, -0.3, 0.3);
    changed.set(name, other);
    new Float32Array(d.memory.buffer, d.variable(name).ptr, sizeOf(dims)).set(other.data as Float32Array);
  }
  const fresh = await createDifferentiable({ ...graph, constants: changed }, { parameters: weights });
  expect(gradientsOf(d, feeds, seeds, weights)).toEqual(gradientsOf(fresh, feeds, seeds, weights));
});

test("taps see values and whole gradients in order, and what they write is what follows", async () => {
  const d = await make({ recompute: "none" });
  const seen: string[] = [];
  const options = {
    taps: new Set(["y", "a", "a4", "x"]),
    tap: (name: string, value: DeviceTensor) => {
      seen.push(name);
      if (name === "a") d.kernels.scale(value.ptr, value.ptr, sizeOf(value.dims), 0.5);
    },
  };
  const half = d.read(d.forward(feeds, options).get("y")!);
  expect(seen).toEqual(["x", "a4", "a", "y"]);
  const value = (await createEngine(graph)).run(feeds, { also: ["a"] }).get("a")!;
  const tail = await make({ inputs: ["a"], outputs: ["y"], parameters: ["a", "w3"] });
  const halved = float32(
    value.dims,
    (value.data as Float32Array).map((v) => v * 0.5),
  );
  expect(d.read(tailForward(tail, halved)).data).toEqual(half.data);
  seen.length = 0;
  const sums = new Map(["a", "w0"].map((name) => [name, buffer(d, name === "a" ? [4, 8, 8, 8] : [8, 3, 3, 3])]));
  d.backward(seeds, sums, options);
  expect(seen).toEqual(["y", "a", "a4", "x"]);
  const plain = gradientsOf(tail, new Map([["a", halved]]), seeds, ["a"]).get("a")!;
  expect(d.read(sums.get("a")!).data).toEqual(plain.map((v) => v * 0.5));

  function tailForward(from: Differentiable, a: Tensor): DeviceTensor {
    const y = from.read(from.forward(new Map([["a", a]])).get("y")!);
    const to = buffer(d, y.dims);
    new Float32Array(d.memory.buffer, to.ptr, y.data.length).set(y.data as Float32Array);
    return to;
  }
});

test("a gradient that has no way is refused with the operator's name", async () => {
  const axis: Tensor = { dtype: "int64", dims: [1], data: BigInt64Array.of(1n) };
  const odd = graphOf({ x: ["N", 4] }, [node("a = ReduceProd(x, axis)"), node("y = Relu(a)")], { axis });
  await expect(createDifferentiable(odd, { parameters: ["x"] })).rejects.toThrow(/ReduceProd/);
  await expect(createDifferentiable(odd, { parameters: ["a"] })).resolves.toBeDefined();
  await expect(createDifferentiable(odd, { parameters: ["axis"] })).rejects.toThrow(/int64/);
  await expect(createDifferentiable(odd, { parameters: ["nothing"] })).rejects.toThrow(/'nothing'/);
});

interface Network {
  readonly name: string;
  readonly dims: readonly number[];
}

const networks: readonly Network[] = [
  { name: "fashion/resnet20", dims: [1, 28, 28] },
  { name: "fashion/mobilenetv2", dims: [1, 28, 28] },
  { name: "fashion/vit", dims: [1, 28, 28] },
];

/** Step along a direction of about unit norm, relative to the norm of the parameter: few activations cross a kink. */
const step = 2 ** -26;

const norm = (a: ArrayLike<number>): number => Math.sqrt(Array.from(a).reduce((sum, v) => sum + v * v, 0));
const double = ({ dims, data }: Tensor): Tensor => ({ dtype: "float64", dims, data: Float64Array.from(data as Float32Array) });

withData.for(networks)(
  "$name: derivatives of the logits along random directions equal float64 differences",
  { timeout: 120_000 },
  async ({ name, dims }) => {
    const whole = prepare(readModel(new Uint8Array(readFileSync(`${dataDir}/${name}/model.onnx`))));
    const [input] = whole.inputs;
    const layers = findBlocks(whole).flatMap(({ nodes }) => nodes.filter(({ op }) => ["Conv", "Gemm", "MatMul"].includes(op)));
    const names = layers.map(({ inputs }) => inputs[1]!).filter((w) => whole.constants.has(w));
    const chosen = [input!, names[0]!, names[names.length >> 1]!, names.at(-1)!];
    const given = new Map([[input!, r.tensor([1, ...dims], -1, 1)]]);
    const seed = r.tensor([1, 10]);
    const d = await createDifferentiable(whole, { parameters: chosen });
    const sums = new Map(chosen.map((w) => [w, buffer(d, (given.get(w) ?? whole.constants.get(w))!.dims)]));
    d.forward(given);
    d.backward(new Map([[whole.outputs[0]!, seed]]), sums);

    const inDouble = new Map([...whole.constants].map(([w, t]) => [w, t.dtype === "float32" ? double(t) : t]));
    const objective = (values: ReadonlyMap<string, Tensor>): number => {
      const x64 = values.get(input!)!;
      const facts = new Map([[input!, { dtype: "float64" as const, dims: x64.dims }]]);
      const constants = new Map([...inDouble].map(([w, t]) => [w, values.get(w) ?? t]));
      const y = evaluateReference({ ...whole, constants, facts }, new Map([[input!, x64]])).get(whole.outputs[0]!)!;
      return (y.data as Float64Array).reduce((sum, v, i) => sum + v * Number(seed.data[i]), 0);
    };
    const x64 = new Map([[input!, double(given.get(input!)!)]]);
    for (const w of chosen) {
      const gradient = d.read(sums.get(w)!).data as Float32Array;
      const base = w === input ? x64.get(w)! : inDouble.get(w)!;
      // Half the direction is the gradient's own, so that the derivative is not lost in rounding.
      const noise = r.tensor([gradient.length], -1, 1).data as Float32Array;
      const length = norm(gradient);
      const direction = noise.map((v, i) => v / norm(noise) + gradient[i]! / length);
      const h = step * norm(base.data as Float64Array);
      const moved = (sign: number): Map<string, Tensor> =>
        new Map([...x64, [w, { ...base, data: (base.data as Float64Array).map((v, i) => v + sign * h * direction[i]!) }]]);
      const expected = (objective(moved(1)) - objective(moved(-1))) / (2 * h);
      const found = gradient.reduce((sum, v, i) => sum + v * direction[i]!, 0);
      expect(Math.abs(found - expected) / length, w).toBeLessThan(2e-5);
    }
  },
);
