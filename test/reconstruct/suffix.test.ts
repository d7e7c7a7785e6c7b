import { expect, test } from "vitest";
import type { Tensor } from "../../src/graph/types.ts";
import { SampleCache } from "../../src/reconstruct/cache.ts";
import { findParts } from "../../src/reconstruct/scopes.ts";
import { bypassOf, Suffix, suffixOrder } from "../../src/reconstruct/suffix.ts";
import { Memory } from "../assembly/float/memory.ts";
import { graphOf, node, randomTensor } from "../graph/build.ts";
import { cases, type Golden } from "./golden.ts";

const tensor = ({ s, d }: Golden): Tensor => ({ dtype: "float32", dims: s, data: Float32Array.from(d) });

function cache({ s, d }: Golden): SampleCache {
  const values = new SampleCache(s[0]!);
  values.write(0, { dims: s, layout: "row-major", ptr: 0 }, Float32Array.from(d));
  return values;
}

test("the network behind a part answers as published, and says which way the part should move", async () => {
  const [{ in: i, out32 }] = cases("02_pd_quant")(/^pd_unit$/) as [ReturnType<ReturnType<typeof cases>>[0]];
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
  expect(part!.outputs).toEqual(["u"]);
  const suffix = await Suffix.open(suffixOrder(graph, part!, new Map(), cache(i.logits_fp), i.T));
  const memory = new Memory();
  const [batch, ...dims] = out32.out.s as [number, ...number[]];
  const half = { dims: [batch / 2, ...dims], layout: "row-major" } as const;
  const n = out32.out.d.length / 2;
  const values = Float32Array.from(out32.out.d.slice(n));
  const [u, gradient] = [memory.put(values), memory.put(new Float32Array(n))];
  const run = (): number =>
    suffix.run(
      new Map([["u", { ...half, ptr: u }]]),
      new Map([["u", { ...half, ptr: gradient }]]),
      new Float32Array(memory.memory.buffer),
      [0, 1, 2],
      1 / i.lambda_r,
    );
  const loss = run();
  expect(Math.abs(loss - out32.pd)).toBeLessThan(5e-5 * out32.pd);
  const slope = memory.floats(gradient, n);
  // A step against the gradient lowers the loss by what the gradient promises.
  const size = 1e-2;
  const norm = slope.reduce((sum, g) => sum + g * g, 0);
  new Float32Array(memory.memory.buffer).set(
    values.map((v, k) => v - (size * slope[k]!) / Math.sqrt(norm)),
    u / 4,
  );
  const lower = run();
  expect(Math.abs(loss - lower - size * Math.sqrt(norm))).toBeLessThan(0.05 * size * Math.sqrt(norm));
});

test("values that pass a part by are what the answer needs besides its output", () => {
  const graph = graphOf(
    { x: ["N", 4] },
    [node("a = MatMul(x, w)"), node("b = MatMul(a, w)"), node("c = MatMul(b, w)"), node("s = Add(c, a)"), node("y = MatMul(s, w)")],
    { w: randomTensor([4, 4], 1) },
  );
  expect(bypassOf(graph, ["b"], ["a", "s"])).toEqual(["s"]);
  expect(bypassOf(graph, ["c"], ["a"])).toEqual(["a"]);
  expect(bypassOf(graph, ["s"], ["a"])).toEqual([]);
});
