import { describe, expect, test } from "vitest";
import { createEngine } from "../../src/engine/index.ts";
import { channelGroups } from "../../src/graph/channels.ts";
import { equalizeChannels } from "../../src/graph/rewrites/equalize.ts";
import type { Graph, Tensor } from "../../src/graph/types.ts";
import { float32, graphOf, node, randomTensor } from "./build.ts";

const six: Record<string, Tensor> = { zero: float32([], [0]), six: float32([], [6]) };

/** An inverted residual with its shortcut, a pool and a classifier: every kind of group. */
function inverted(constants: Record<string, Tensor> = {}, outputs?: readonly string[]): Graph {
  return graphOf(
    { x: ["N", 3, 8, 8] },
    [
      node("stem = Conv(x, w0, b0)", { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
      node("s = Relu(stem)"),
      node("expand = Conv(s, w1, b1)", { kernel_shape: [1, 1] }),
      node("e = Clip(expand, zero, six)"),
      node("depth = Conv(e, w2, b2)", { kernel_shape: [3, 3], pads: [1, 1, 1, 1], group: 8 }),
      node("d = Clip(depth, zero, six)"),
      node("project = Conv(d, w3, b3)", { kernel_shape: [1, 1] }),
      node("sum = Add(project, s)"),
      node("pool = GlobalAveragePool(sum)"),
      node("flat = Reshape(pool, shape)"),
      node("y = Gemm(flat, w4, b4)", { transB: 1 }),
    ],
    {
      ...six,
      shape: { dtype: "int64", dims: [2], data: BigInt64Array.of(0n, -1n) },
      w0: randomTensor([4, 3, 3, 3], 1),
      b0: randomTensor([4], 2),
      w1: randomTensor([8, 4, 1, 1], 3),
      b1: randomTensor([8], 4),
      w2: randomTensor([8, 1, 3, 3], 5),
      b2: randomTensor([8], 6, 0.5),
      w3: randomTensor([4, 8, 1, 1], 7),
      b3: randomTensor([4], 8),
      w4: randomTensor([5, 4], 9),
      b4: randomTensor([5], 10),
      ...constants,
    },
    outputs,
  );
}

const values = ["s", "e", "d", "project", "sum", "pool", "flat"];
const image = { ...randomTensor([2, 3, 8, 8], 11) };

async function answers(graph: Graph): Promise<Map<string, Tensor>> {
  const engine = await createEngine(graph);
  return engine.run(new Map([["x", image]]), { also: values });
}

/** Largest magnitude by channel, written out. */
function reachOf({ dims, data }: Tensor): Float64Array {
  const [, channels = 1, ...spatial] = dims;
  const each = spatial.reduce((product, d) => product * d, 1);
  const most = new Float64Array(channels);
  for (const [i, x] of (data as Float32Array).entries()) {
    const c = Math.floor(i / each) % channels;
    most[c] = Math.max(most[c]!, Math.abs(x));
  }
  return most;
}

async function reach(graph: Graph): Promise<Map<string, Float64Array>> {
  const all = await answers(graph);
  return new Map(values.map((value) => [value, reachOf(all.get(value)!)]));
}

describe("groups", () => {
  test("hold what keeps the factors of its channels in common", () => {
    const found = channelGroups(inverted());
    expect(found.map((group) => [group.values, group.producers.map(({ name }) => name), group.consumers.map(({ name }) => name)])).toEqual([
      [
        ["stem", "s", "project", "sum", "pool", "flat"],
        ["stem", "project"],
        ["expand", "y"],
      ],
      [["expand", "e"], ["expand"], ["depth"]],
      [["depth", "d"], ["depth"], ["project"]],
    ]);
  });

  test("leave out what the caller sees", () => {
    expect(channelGroups(inverted({}, ["y", "d"])).map(({ values }) => values[0])).toEqual(["stem", "expand"]);
  });

  test("leave out channels that meet an operator which is no multiple of its input", () => {
    const graph = graphOf(
      { x: ["N", 3, 8, 8] },
      [
        node("a = Conv(x, w0)", { kernel_shape: [1, 1] }),
        node("s = Sigmoid(a)"),
        node("b = Conv(s, w1)", { kernel_shape: [1, 1] }),
        node("r = Clip(b, low, six)"),
        node("c = Conv(r, w2)", { kernel_shape: [1, 1] }),
      ],
      {
        ...six,
        low: float32([], [-1]),
        w0: randomTensor([4, 3, 1, 1], 1),
        w1: randomTensor([4, 4, 1, 1], 2),
        w2: randomTensor([4, 4, 1, 1], 3),
      },
    );
    expect(channelGroups(graph)).toEqual([]);
  });
});

test.for([
  ["one bias for all samples", { transB: 1 }, { w: randomTensor([5, 4], 1), b: randomTensor([5], 2) }, 1],
  ["a bias for each sample", { transB: 1 }, { w: randomTensor([5, 4], 1), b: randomTensor([3, 5], 2) }, 0],
  ["columns for inputs", { transA: 1, transB: 1 }, { w: randomTensor([5, 3], 1), b: randomTensor([5], 2) }, 0],
] as const)("a dense layer with %s reads channels or not", ([, attributes, constants, groups]) => {
  const nodes = [node("a = Gemm(x, v)", { transB: 1 }), node("r = Relu(a)"), node("y = Gemm(r, w, b)", attributes)];
  const graph = graphOf({ x: [3, 6] }, nodes, { ...constants, v: randomTensor([4, 6], 3) });
  expect(channelGroups(graph)).toHaveLength(groups);
});

describe("equalized", () => {
  test("a network answers the same up to rounding where nothing saturates", async () => {
    const graph = inverted();
    const equal = equalizeChannels(graph, await reach(graph));
    const [before, after] = [await answers(graph), await answers(equal)];
    const expected = before.get("y")!.data as Float32Array;
    const largest = Math.max(...expected.map(Math.abs));
    (after.get("y")!.data as Float32Array).forEach((y, i) => {
      expect(Math.abs(y - expected[i]!)).toBeLessThan(2e-6 * largest);
    });
  });

  test("channels read by filters of their own reach equally far, others half as unequally", async () => {
    const graph = inverted();
    const before = await reach(graph);
    const after = await reach(equalizeChannels(graph, before));
    const spread = (of: Float64Array): number => Math.max(...of) / Math.min(...of.filter((x) => x > 0));
    expect(spread(before.get("e")!)).toBeGreaterThan(1.1);
    expect(spread(after.get("e")!)).toBeCloseTo(1, 5);
    expect(spread(before.get("d")!)).toBeGreaterThan(1.1);
    expect(spread(after.get("d")!)).toBeCloseTo(Math.sqrt(spread(before.get("d")!)), 4);
  });

  test("no channel is shrunk, and a sleeping one stays as it is", async () => {
    const graph = inverted({ b1: float32([8], [-90, 1, 1, 1, 1, 1, 1, 1]) });
    const before = await reach(graph);
    expect(before.get("e")![0]).toBe(0);
    const w1 = (equalizeChannels(graph, before).constants.get("w1")!.data as Float32Array).map(Math.abs);
    const own = (graph.constants.get("w1")!.data as Float32Array).map(Math.abs);
    // Their inputs were stretched too: up to √64.
    w1.forEach((w, i) => {
      expect(w).toBeGreaterThanOrEqual(own[i]! / 8.0001);
    });
    expect(equalizeChannels(graph, new Map([["e", before.get("e")!]])).constants.get("b1")!.data[0]).toBe(-90);
  });

  test("beyond its reach a channel behind a bound saturates at the bound over its factor", async () => {
    const graph = inverted();
    const r = Float64Array.of(6, 3, 6, 6, 6, 6, 6, 6);
    const equal = equalizeChannels(graph, new Map([["e", r]]));
    const e = (await answers(equal)).get("e")!;
    expect(reachOf(e)[1]).toBeLessThanOrEqual(6);
    const w = (name: string, g: Graph): Float32Array => g.constants.get(name)!.data as Float32Array;
    expect([...w("w1", equal).subarray(4, 8)]).toEqual([...w("w1", graph).subarray(4, 8)].map((x) => Math.fround(2 * x)));
    expect([...w("w2", equal).subarray(9, 18)]).toEqual([...w("w2", graph).subarray(9, 18)].map((x) => Math.fround(x / 2)));
    expect([...w("w1", equal).subarray(0, 4)]).toEqual([...w("w1", graph).subarray(0, 4)]);
  });

  test("layers that share a tensor stay as they are", () => {
    const graph = graphOf(
      { x: ["N", 4, 8, 8] },
      [node("a = Conv(x, w)", { kernel_shape: [1, 1] }), node("r = Relu(a)"), node("b = Conv(r, w)", { kernel_shape: [1, 1] })],
      { w: randomTensor([4, 4, 1, 1], 1) },
    );
    const equal = equalizeChannels(graph, new Map([["r", Float64Array.of(1, 2, 3, 4)]]));
    expect(equal.constants.get("w")!.data).toEqual(graph.constants.get("w")!.data);
  });
});
