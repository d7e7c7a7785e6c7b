// Learning with dropped activations as the authors' code does it: their masks are given, so they are put in by taps.
import { expect, test } from "vitest";
import type { DeviceTensor, PassOptions } from "../../src/engine/types.ts";
import type { Encoding } from "../../src/formats/encoding.ts";
import type { Tensor } from "../../src/graph/types.ts";
import { SampleCache } from "../../src/reconstruct/cache.ts";
import type { GradientSource } from "../../src/reconstruct/gradients.ts";
import { learnUnit } from "../../src/reconstruct/learn.ts";
import type { Method } from "../../src/reconstruct/methods.ts";
import { lpSumKernel } from "../../src/reconstruct/objectives.ts";
import { sigmoid, softWeight } from "../../src/reconstruct/parametrizations/sigmoid.ts";
import { split } from "../../src/reconstruct/parametrizations/start.ts";
import { presets } from "../../src/reconstruct/presets.ts";
import { findParts } from "../../src/reconstruct/scopes.ts";
import { Suffix, suffixOrder } from "../../src/reconstruct/suffix.ts";
import { Unit } from "../../src/reconstruct/unit.ts";
import { graphOf, node } from "../graph/build.ts";
import { cases, expectClose, type Fields, type Golden, single } from "./golden.ts";
import { gridOf } from "./home.ts";

const tensor = ({ s, d }: Golden): Tensor => ({ dtype: "float32", dims: s, data: Float32Array.from(d) });
const product = (dims: readonly number[]): number => dims.reduce((p, d) => p * d, 1);

const activation = (scale: number, zero: number, most: number): Encoding => ({
  bits: 3,
  levels: { kind: "linear", lo: 0, hi: most },
  granularity: { kind: "tensor" },
  scale: Float32Array.of(scale),
  scaleKind: "real",
  zeroPoint: Int32Array.of(zero),
});

/** Index in a row-major tensor of what stands at i in a layout. */
function rowMajor(i: number, { dims, layout }: DeviceTensor): number {
  if (layout === "row-major") return i;
  const [, c, h, w] = dims as [number, number, number, number];
  const [channel, rest] = [i % c, Math.floor(i / c)];
  return (Math.floor(rest / (h * w)) * c + channel) * h * w + (rest % (h * w));
}

/** Passes in which a quantizer works on the elements of its mask alone, value and gradients. */
function dropping(unit: Unit, masks: ReadonlyMap<string, Golden>): { forward: PassOptions; backward: PassOptions } {
  const taps = new Set([...masks.keys()].flatMap((value) => [value, `${value}~raw`]));
  const seen = new Map<string, Float32Array>();
  const dropped = (name: string, value: DeviceTensor, change: (view: Float32Array, i: number) => void): void => {
    const view = unit.f32.subarray(value.ptr / 4, value.ptr / 4 + product(value.dims));
    for (let i = 0; i < view.length; i++) if (masks.get(name)!.d[rowMajor(i, value)] === 0) change(view, i);
  };
  const keep = (key: string, { ptr, dims }: DeviceTensor): void => void seen.set(key, unit.f32.slice(ptr / 4, ptr / 4 + product(dims)));
  return {
    forward: {
      taps,
      tap(name, value) {
        if (name.endsWith("~raw")) keep(name, value);
        else dropped(name, value, (view, i) => (view[i] = seen.get(`${name}~raw`)![i]!));
      },
    },
    backward: {
      taps,
      tap(name, gradient) {
        if (name.endsWith("~raw")) {
          const value = name.slice(0, -4);
          dropped(value, gradient, (view, i) => (view[i] = seen.get(`gradient ${value}`)![i]!));
        } else {
          keep(`gradient ${name}`, gradient);
          dropped(name, gradient, (view, i) => (view[i] = 0));
        }
      },
    },
  };
}

const mixed = (a: Golden, b: Golden, mask: Golden): Float32Array => Float32Array.from(a.d, (x, i) => (mask.d[i] ? x : b.d[i]!));

function put(unit: Unit, values: Float32Array, dims: readonly number[]): DeviceTensor {
  const ptr = unit.allocate(values.length * 4);
  unit.f32.set(values, ptr / 4);
  return { dims, layout: "row-major", ptr };
}

/** What the weights are at a learner's V. */
function soft(grid: ReturnType<typeof gridOf>, v: Golden): number[] {
  return v.d.map((x, k) => {
    const r = Math.floor(k / grid.columns);
    return softWeight(split(grid.values[k]!, grid.scale[r]!).base, x, grid.scale[r]!, grid.low[r]!, grid.high[r]!);
  });
}

interface Setup {
  readonly unit: Unit;
  readonly method: Method;
  readonly grids: ReadonlyMap<string, ReturnType<typeof gridOf>>;
  readonly scales: ReadonlyMap<string, number>;
  readonly source: GradientSource;
}

async function learned({
  unit,
  method,
  grids,
  scales,
  source,
}: Setup): Promise<{ seen: { weights: Float32Array[]; scales: number[] }[]; codes: Int8Array[] }> {
  const seen: { weights: Float32Array[]; scales: number[] }[] = [];
  const result = await learnUnit(unit, method, sigmoid, grids, scales, source, {
    async breathe() {},
    onStep() {
      seen.push({
        weights: unit.weights.map(({ variable, elements }) => unit.f32.slice(variable.ptr / 4, variable.ptr / 4 + elements)),
        scales: [...scales.keys()].map((group) => unit.f32[unit.engine.variable(`${group}~scale`).ptr / 4]!),
      });
    },
  });
  return { seen, codes: [...result.weights.values()].map(({ codes }) => codes) };
}

async function residualBlock(i: Fields): Promise<Setup & { losses: number[] }> {
  const pads = { pads: [1, 1, 1, 1] };
  const graph = graphOf(
    { x: ["N", ...(i.x_fp.s.slice(1) as number[])] },
    [
      node("conv1 = Conv(x, W1, b1)", pads),
      node("mid = Relu(conv1)"),
      node("conv2 = Conv(mid, W2, b2)", pads),
      node("sum = Add(conv2, x)"),
      node("out = Relu(sum)"),
    ],
    { W1: tensor(i.W1), b1: tensor(i.b1), W2: tensor(i.W2), b2: tensor(i.b2) },
  );
  const [part] = findParts(graph, "block");
  const quantizers = [
    { value: "mid", group: "mid", encoding: activation(i.a1.d[0], i.az1.d[0], i.a_qmax) },
    { value: "out", group: "out", encoding: activation(i.a2.d[0], i.az2.d[0], i.a_qmax) },
  ];
  const nodes = graph.nodes.filter(({ op }) => op === "Conv");
  const unit = await Unit.open(graph, part!, nodes, quantizers, ["mid", "out"]);
  unit.quantizeAll();
  const passes = dropping(
    unit,
    new Map([
      ["mid", i.mask1],
      ["out", i.mask2],
    ]),
  );
  const x = put(unit, mixed(i.x_q, i.x_fp, i.mask_in), i.x_q.s);
  const target = put(unit, Float32Array.from(i.target.d), i.target.s);
  const gradient = put(unit, new Float32Array(i.target.d.length), i.target.s);
  const spare = put(unit, new Float32Array(i.target.d.length), i.target.s);
  const losses: number[] = [];
  const source: GradientSource = {
    rows: i.x_q.s[0],
    async make() {
      unit.clearGradients();
      const out = unit.forward(new Map([["x", x]]), passes.forward).get("out")!;
      const aligned = unit.inLayout(target, out.layout, () => spare.ptr).ptr;
      losses.push(lpSumKernel(unit.kernels, gradient.ptr, out.ptr, aligned, out.dims, 2));
      unit.backward(new Map([["out", { ...out, ptr: gradient.ptr }]]), passes.backward);
      return losses.at(-1)!;
    },
    async release() {},
  };
  const method: Method = {
    ...presets.qdrop,
    activations: { kind: "quantized", keep: 0.5, rate: i.lr_a, scaled: i.lsq },
    schedule: { ...presets.qdrop.schedule, iterations: i.iters, batch: 2, rate: i.lr_w, lambda: i.lambda },
  };
  const grids = new Map([
    ["conv1", gridOf(i.W1, i.s1.d, i.z1.d, i.w_qmax)],
    ["conv2", gridOf(i.W2, i.s2.d, i.z2.d, i.w_qmax)],
  ]);
  const scales = new Map(quantizers.map(({ group, encoding }) => [group, encoding.scale[0]!]));
  return { unit, method, grids, scales, source, losses };
}

const golden = (file: string, name: string): Fields & { in: Fields; out32: Fields } =>
  cases(file)(new RegExp(`^${name}$`))[0]! as unknown as Fields & { in: Fields; out32: Fields };

test("qdrop_block: loss, weights and step sizes after one and three steps", async () => {
  const { in: i, out32 } = golden("01_adaround_brecq_qdrop", "qdrop_block");
  const setup = await residualBlock(i);
  const { seen } = await learned(setup);
  expect(setup.losses[0]).toBeCloseTo(out32.rec, 6);
  expect(setup.losses[2]).toBeCloseTo(out32.rec_step3, 6);
  for (const [step, name] of [
    [1, "after1"],
    [3, "after3"],
  ] as const) {
    const { weights, scales } = seen[step]!;
    expectClose(weights[0]!, soft(setup.grids.get("conv1")!, out32[`V1_${name}`]), ...single.parameter);
    expectClose(weights[1]!, soft(setup.grids.get("conv2")!, out32[`V2_${name}`]), ...single.parameter);
    expectClose(scales, [out32[`a1_${name}`].d[0], out32[`a2_${name}`].d[0]], ...single.parameter);
  }
});

test("qdrop_block_500: the same loss in the end, and 95 of 100 codes", async () => {
  const { in: i, out } = golden("01_adaround_brecq_qdrop", "qdrop_block_500") as Fields;
  const setup = await residualBlock(i);
  const { codes } = await learned(setup);
  const expected = [...out.W1_codes_final.d, ...out.W2_codes_final.d] as number[];
  const found = codes.flatMap((each) => [...each]);
  const equal = found.filter((code, k) => code === expected[k]).length;
  expect(found.length).toBe(expected.length);
  expect(equal / found.length).toBeGreaterThanOrEqual(0.95);
  expect(Math.abs(setup.losses.at(-1)! - out.rec_last)).toBeLessThan(0.015 * out.rec_last);
});

test("pd_unit: reconstruction, prediction difference, weights and the step size after one and three steps", async () => {
  const { in: i, out32 } = golden("02_pd_quant", "pd_unit");
  const graph = graphOf(
    { x: ["N", ...(i.x_q.s.slice(1) as number[])] },
    [
      node("c = Conv(x, W, b)", { pads: [1, 1, 1, 1] }),
      node("u = Relu(c)"),
      node("d = Conv(u, Ws, bs)", { pads: [1, 1, 1, 1], strides: [2, 2] }),
      node("r = Relu(d)"),
      node("g = GlobalAveragePool(r)"),
      node("f = Flatten(g)"),
      node("logits = Gemm(f, Wf, bf)", { transB: 1 }),
    ],
    { W: tensor(i.W), b: tensor(i.b), Ws: tensor(i.Ws), bs: tensor(i.bs), Wf: tensor(i.Wf), bf: tensor(i.bf) },
  );
  const [part] = findParts(graph, "layer");
  const quantizer = { value: "u", group: "u", encoding: activation(i.a.d[0], i.az.d[0], i.a_qmax) };
  const unit = await Unit.open(graph, part!, [graph.nodes[0]!], [quantizer], ["u"]);
  unit.quantizeAll();
  const answers = new SampleCache(i.logits_fp.s[0]);
  answers.write(0, { dims: i.logits_fp.s, layout: "row-major", ptr: 0 }, Float32Array.from(i.logits_fp.d));
  const suffix = await Suffix.open(suffixOrder(graph, part!, new Map(), answers, i.T));
  const passes = dropping(unit, new Map([["u", i.mask_act]]));
  const batch = i.x_q.s[0] as number;
  const x = put(unit, Float32Array.from([...mixed(i.x_q, i.x_dc, i.mask_in), ...i.x_q.d]), [2 * batch, ...i.x_q.s.slice(1)]);
  const n = i.target.d.length as number;
  const [target, spare] = [put(unit, Float32Array.from(i.target.d), i.target.s), put(unit, new Float32Array(n), i.target.s)];
  const gradient = put(unit, new Float32Array(2 * n), [2 * batch, ...i.target.s.slice(1)]);
  const losses: [number, number][] = [];
  const source: GradientSource = {
    rows: 2 * batch,
    async make() {
      unit.clearGradients();
      const out = unit.forward(new Map([["x", x]]), passes.forward).get("u")!;
      const dims = i.target.s as number[];
      const aligned = unit.inLayout(target, out.layout, () => spare.ptr).ptr;
      const rec = lpSumKernel(unit.kernels, gradient.ptr, out.ptr, aligned, dims, 2);
      const second = (ptr: number): Map<string, DeviceTensor> => new Map([["u", { ...out, dims, ptr: ptr + n * 4 }]]);
      const pd = suffix.run(second(out.ptr), second(gradient.ptr), unit.f32, [0, 1, 2].slice(0, batch), 1 / i.lambda_r);
      losses.push([rec, pd]);
      unit.backward(new Map([["u", { ...out, ptr: gradient.ptr }]]), passes.backward);
      return rec + pd;
    },
    async release() {},
  };
  const method: Method = {
    ...presets["pd-quant"],
    activations: { kind: "quantized", keep: 0.5, rate: i.lr_a, scaled: false },
    schedule: { ...presets["pd-quant"].schedule, iterations: i.iters, batch, rate: i.lr_w, lambda: i.lambda },
  };
  const grids = new Map([["c", gridOf(i.W, i.s.d, i.z.d, i.w_qmax)]]);
  const { seen } = await learned({ unit, method, grids, scales: new Map([["u", i.a.d[0]]]), source });
  expectClose(losses[0]!, [out32.rec, out32.pd], 5e-5, 1e-6);
  expectClose(losses[2]!, [out32.rec_step3, out32.pd_step3], 5e-4, 1e-6);
  for (const [step, name] of [
    [1, "after1"],
    [3, "after3"],
  ] as const) {
    expectClose(seen[step]!.weights[0]!, soft(grids.get("c")!, out32[`V_${name}`]), ...single.parameter);
    expectClose(seen[step]!.scales, [out32[`a_${name}`].d[0]], ...single.parameter);
  }
});
