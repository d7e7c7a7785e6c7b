import { expect, test } from "vitest";
import { createDifferentiable } from "../../src/engine/reverse.ts";
import type { GraphNode, Tensor } from "../../src/graph/types.ts";
import { fakeQuantize, fakeQuantizeForward, fakeQuantizeGradient, fakeQuantizeOp } from "../../src/ops/fake-quantize.ts";
import { forwardKernels } from "../../src/ops/forward.ts";
import { gradientKernels } from "../../src/ops/gradient.ts";
import { operators } from "../../src/ops/registry.ts";
import { float32, graphOf, node, randomTensor } from "../graph/build.ts";

const quantizer: GraphNode = {
  name: "q",
  op: fakeQuantizeOp,
  inputs: ["r", "scale", "control"],
  outputs: ["q"],
  attributes: { low: -2, high: 5 },
};

/** x · w, quantized, summed: the weight's gradient has to pass the quantizer. */
async function open(scale: number) {
  const base = graphOf({ x: ["N", 6] }, [node("r = MatMul(x, w)"), node("z = Neg(r)")], { w: randomTensor([6, 5], 3) });
  const control: Tensor = { dtype: "float32", dims: [4], data: new Float32Array(Uint32Array.of(0xffffffff, 0, 0, 0).buffer) };
  const constants = new Map([...base.constants, ["scale", float32([1], [scale])], ["control", control]]);
  const facts = new Map([...base.facts, ["q", base.facts.get("r")!]] as const);
  for (const [name, constant] of constants) facts.set(name, { dtype: "float32", dims: constant.dims, constant });
  const graph = { ...base, nodes: [base.nodes[0]!, quantizer], outputs: ["q"], constants, facts };
  const engine = await createDifferentiable(graph, {
    parameters: ["w", "scale"],
    variables: ["control"],
    operators: new Map([...operators, [fakeQuantizeOp, fakeQuantize]]),
    forward: new Map([...forwardKernels, [fakeQuantizeOp, fakeQuantizeForward]]),
    gradients: new Map([...gradientKernels, [fakeQuantizeOp, fakeQuantizeGradient]]),
  });
  return { engine, graph };
}

const x = randomTensor([7, 6], 9);

/** x · w in the same engine's arithmetic. */
async function product(): Promise<Tensor> {
  const graph = graphOf({ x: ["N", 6] }, [node("r = MatMul(x, w)")], { w: randomTensor([6, 5], 3) });
  const engine = await createDifferentiable(graph, { parameters: [] });
  return engine.read(engine.forward(new Map([["x", x]])).get("r")!);
}

test("the kernel equals the reference, and the reference is idempotent", async () => {
  const { engine } = await open(0.2);
  const scale = float32([1], [0.2]);
  const [plain] = fakeQuantize.reference(quantizer, [await product(), scale]);
  expect(fakeQuantize.reference(quantizer, [plain!, scale])[0]!.data).toEqual(plain!.data);
  const out = engine.read(engine.forward(new Map([["x", x]])).get("q")!);
  expect(Array.from(out.data as Float32Array, (v) => v + 0)).toEqual(Array.from(plain!.data as Float32Array, (v) => v + 0));
});

test("gradients by weights and by the step size are those of the straight-through rule", async () => {
  const { engine } = await open(0.2);
  const r = (await product()).data as Float32Array;
  const dy = randomTensor([7, 5], 11);
  engine.forward(new Map([["x", x]]));
  const dw = { dims: [6, 5], layout: "row-major" as const, ptr: engine.allocate(6 * 5 * 4) };
  const ds = { dims: [1], layout: "row-major" as const, ptr: engine.allocate(16) };
  engine.kernels.fill(dw.ptr, 0, 30);
  engine.kernels.fill(ds.ptr, 0, 1);
  engine.backward(
    new Map([["q", dy]]),
    new Map([
      ["w", dw],
      ["scale", ds],
    ]),
  );
  const s = Math.fround(0.2);
  const expected = new Float64Array(30);
  let step = 0;
  for (let n = 0; n < 7; n++) {
    for (let o = 0; o < 5; o++) {
      const u = Math.fround(r[n * 5 + o]! / s);
      const code = Math.round(u);
      const inside = code >= -2 && code <= 5;
      const g = dy.data[n * 5 + o] as number;
      step += g * (Math.min(5, Math.max(-2, code)) - (inside ? u : 0));
      if (inside) for (let k = 0; k < 6; k++) expected[k * 5 + o]! += g * (x.data[n * 6 + k] as number);
    }
  }
  const weights = engine.read(dw).data as Float32Array;
  expected.forEach((e, k) => {
    expect(weights[k]).toBeCloseTo(e, 4);
  });
  expect((engine.read(ds).data as Float32Array)[0]).toBeCloseTo(step, 4);
});
