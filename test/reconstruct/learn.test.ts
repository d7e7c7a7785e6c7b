import { expect, test } from "vitest";
import type { Encoding } from "../../src/formats/encoding.ts";
import type { Graph, Tensor } from "../../src/graph/types.ts";
import { SampleCache } from "../../src/reconstruct/cache.ts";
import { gradientsHere } from "../../src/reconstruct/gradients.ts";
import { learnUnit } from "../../src/reconstruct/learn.ts";
import type { Method } from "../../src/reconstruct/methods.ts";
import { sigmoid, softWeight } from "../../src/reconstruct/parametrizations/sigmoid.ts";
import { split } from "../../src/reconstruct/parametrizations/start.ts";
import { presets } from "../../src/reconstruct/presets.ts";
import { findParts } from "../../src/reconstruct/scopes.ts";
import type { Examples } from "../../src/reconstruct/slices.ts";
import { Unit } from "../../src/reconstruct/unit.ts";
import { graphOf, node } from "../graph/build.ts";
import { cases, expectClose, type Fields, type Golden, single } from "./golden.ts";
import { gridOf } from "./home.ts";

const tensor = ({ s, d }: Golden): Tensor => ({ dtype: "float32", dims: s, data: Float32Array.from(d) });

/** conv1 – relu – conv2 – add x – relu: the residual block of the golden runs. */
function residualBlock(i: Fields): Graph {
  const pads = { pads: [1, 1, 1, 1] };
  const nodes = [
    node("conv1 = Conv(x, W1, b1)", pads),
    node("mid = Relu(conv1)"),
    node("conv2 = Conv(mid, W2, b2)", pads),
    node("sum = Add(conv2, x)"),
    node("out = Relu(sum)"),
  ];
  const constants = { W1: tensor(i.W1), b1: tensor(i.b1), W2: tensor(i.W2), b2: tensor(i.b2) };
  return graphOf({ x: ["N", ...(i.x_fp.s.slice(1) as number[])] }, nodes, constants);
}

const activation = (scale: number, zero: number, most: number): Encoding => ({
  bits: 3,
  levels: { kind: "linear", lo: 0, hi: most },
  granularity: { kind: "tensor" },
  scale: Float32Array.of(scale),
  scaleKind: "real",
  zeroPoint: Int32Array.of(zero),
});

function cache({ s, d }: Golden): SampleCache {
  const values = new SampleCache(s[0]!);
  values.write(0, { dims: s, layout: "row-major", ptr: 0 }, Float32Array.from(d));
  return values;
}

const [golden] = cases("01_adaround_brecq_qdrop")(/^joint_block_nodrop$/) as [ReturnType<ReturnType<typeof cases>>[0]];

test("a residual block learns as published: weights and step sizes after one and three steps", async () => {
  const { in: i, out32 } = golden;
  const graph = residualBlock(i);
  const [part] = findParts(graph, "block");
  expect(part!.nodes.length).toBe(5);
  const nodes = graph.nodes.filter(({ op }) => op === "Conv");
  const quantizers = [
    { value: "mid", group: "mid", encoding: activation(i.a1.d[0], i.az1.d[0], i.a_qmax) },
    { value: "out", group: "out", encoding: activation(i.a2.d[0], i.az2.d[0], i.a_qmax) },
  ];
  const unit = await Unit.open(graph, part!, nodes, quantizers, ["mid", "out"]);
  const method: Method = {
    ...presets.qdrop,
    activations: { kind: "quantized", keep: 1, rate: i.lr_a, scaled: i.lsq },
    inputKeep: 1,
    schedule: { ...presets.qdrop.schedule, iterations: i.iters, batch: 2, rate: i.lr_w, lambda: i.lambda, replacement: false },
  };
  const grids = new Map([
    ["conv1", gridOf(i.W1, i.s1.d, i.z1.d, i.w_qmax)],
    ["conv2", gridOf(i.W2, i.s2.d, i.z2.d, i.w_qmax)],
  ]);
  const examples: Examples = {
    quantized: new Map([["x", cache(i.x_q)]]),
    float: new Map([["x", cache(i.x_fp)]]),
    targets: new Map([["out", cache(i.target)]]),
    samples: 2,
  };
  const scales = new Map(quantizers.map(({ group, encoding }) => [group, encoding.scale[0]!]));
  const seen: { weights: Float32Array[]; scales: number[] }[] = [];
  const learned = await learnUnit(unit, method, sigmoid, grids, scales, gradientsHere(unit, method, examples, { seed: 1, unit: 0 }), {
    async breathe() {},
    onStep() {
      seen.push({
        weights: unit.weights.map(({ variable, elements }) => unit.f32.slice(variable.ptr / 4, variable.ptr / 4 + elements)),
        scales: ["mid", "out"].map((group) => unit.f32[unit.engine.variable(`${group}~scale`).ptr / 4]!),
      });
    },
  });
  const soft = (name: "conv1" | "conv2", v: Golden): number[] => {
    const grid = grids.get(name)!;
    return v.d.map((x, k) => {
      const r = Math.floor(k / grid.columns);
      return softWeight(split(grid.values[k]!, grid.scale[r]!).base, x, grid.scale[r]!, grid.low[r]!, grid.high[r]!);
    });
  };
  // What step k reads is what step k − 1 left.
  for (const [step, name] of [
    [1, "after1"],
    [3, "after3"],
  ] as const) {
    const { weights, scales: steps } = seen[step]!;
    expectClose(weights[0]!, soft("conv1", out32[`V1_${name}`]), ...single.parameter);
    expectClose(weights[1]!, soft("conv2", out32[`V2_${name}`]), ...single.parameter);
    expectClose(steps, [out32[`a1_${name}`].d[0], out32[`a2_${name}`].d[0]], ...single.parameter);
  }
  expect(learned.weights.get("conv1")!.codes.length).toBe(108);
});

test("the same block drops half of its activations in learning, and not otherwise", async () => {
  const { in: i } = golden;
  const graph = residualBlock(i);
  const [part] = findParts(graph, "block");
  const quantizers = [{ value: "mid", group: "mid", encoding: activation(i.a1.d[0], i.az1.d[0], i.a_qmax) }];
  const unit = await Unit.open(graph, part!, [], quantizers, []);
  const x = unit.allocate(i.x_q.d.length * 4);
  const feed = cache(i.x_q).gather([0, 1], x, unit.f32);
  const run = (): Float32Array => {
    const out = unit.forward(new Map([["x", feed]])).get("out")!;
    return unit.f32.slice(out.ptr / 4, out.ptr / 4 + i.x_q.d.length);
  };
  const whole = run();
  unit.writeControl("mid", 0x7fffffff, { k0: 1, k1: 2 });
  const half = run();
  unit.writeControl("mid", 0x7fffffff, { k0: 1, k1: 3 });
  const other = run();
  unit.quantizeAll();
  expect([...run()]).toEqual([...whole]);
  expect([...half]).not.toEqual([...whole]);
  expect([...half]).not.toEqual([...other]);
});
