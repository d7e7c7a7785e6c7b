// What has no integer form is named, with the way out; what only looks so is not refused.
import { expect, test } from "vitest";
import { convert } from "../../src/convert.ts";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import type { Graph } from "../../src/graph/types.ts";
import { interpretPlan } from "../../src/lower/interpret.ts";
import { lower } from "../../src/lower/lower.ts";
import { writeModel } from "../../src/onnx/write.ts";
import type { Plan } from "../../src/plan/types.ts";
import { createSession } from "../../src/runtime/index.ts";
import { float32, randomTensor } from "../graph/build.ts";
import { integerModule } from "../runtime/kernels.ts";
import { Foreign, type Style } from "./foreign.ts";

const u8s8: Style = { activations: "uint8", weights: "int8", perChannel: true };
const encoding = { scale: 0.0171, zero: 119 };
const size = [1, 3, 8, 8];

const program = async (graph: Graph, cut: readonly string[] = []): Promise<Plan> => lower(await convert(writeModel(graph), { cut }));

/** x in codes, then what a case adds. */
function graphOf(build: (g: Foreign) => string, dims = size): Graph {
  const g = new Foreign(u8s8, 1);
  g.pair("x", encoding);
  const output = build(g);
  return g.graph({ x: dims }, [output]);
}

/** The output that the last of some statements names. */
const last = (...steps: readonly unknown[]): string => steps.at(-1) as string;

const conv = (g: Foreign): string => g.convQdq("a", "x", [4, 3, 1, 1]);
const dense = (g: Foreign): void => {
  g.add(`w_d = DequantizeLinear(${g.weights("w", [3, 5], 1, 3)})`, { axis: 1 });
  g.add("y = MatMul(x_d, w_d)");
};

const refusals: readonly { what: string; graph: () => Graph; message: string }[] = [
  {
    what: "a float model",
    graph: () => {
      const g = new Foreign(u8s8);
      g.add("y = Relu(x)");
      return g.graph({ x: size }, ["y"]);
    },
    message:
      "model: found no QuantizeLinear, no DequantizeLinear and no operator on codes, expected a quantized model. It is a float model",
  },
  {
    what: "scales computed at run time",
    graph: () => {
      const g = new Foreign(u8s8);
      g.add("q, s, z = DynamicQuantizeLinear(x)");
      g.add("y = DequantizeLinear(q, s, z)");
      return g.graph({ x: size }, ["y"]);
    },
    message: "DynamicQuantizeLinear 'q': found scales computed from each input, expected constant scales. Quantize the model statically",
  },
  {
    what: "a softmax in float",
    graph: () => graphOf((g) => last(dense(g), g.add("p = Softmax(y)", { axis: -1 }), "p"), [1, 3]),
    message:
      "Softmax 'p': found an input 'y' in float, expected codes on all sides. Quantize this operator too, or end the program before it: --cut y.",
  },
  {
    what: "a softmax of another scale",
    graph: () => graphOf((g) => last(g.add("p = Softmax(x_d)", { axis: -1 }), g.pair("p", { scale: 0.005, zero: 0 })), [1, 3]),
    message: "Softmax 'p': found an output of scale 0.004999999888241291, zero point 0, expected scale 1/256, zero point 0 of uint8",
  },
  {
    what: "float weights",
    graph: () =>
      graphOf((g) => {
        g.constants.w = randomTensor([4, 3, 1, 1], 1);
        g.add("y = Conv(x_d, w)");
        return g.pair("y", encoding);
      }),
    message: "Conv 'y': found float weights, expected weights behind DequantizeLinear. Quantize this operator too.",
  },
  {
    what: "a value read rounded and unrounded",
    graph: () => graphOf((g) => last(conv(g), g.pair("a", encoding), g.add("s = Add(a, a_d)"), g.pair("s", encoding))),
    message: "value 'a': found a reader in float, Add 's', beside one of its codes, expected readers of codes only.",
  },
  {
    what: "16-bit activations",
    graph: () =>
      graphOf((g) => {
        conv(g);
        g.scalar("s", 0.001);
        g.constants.z = { dtype: "uint16", dims: [], data: Uint16Array.of(32768) };
        g.add("q = QuantizeLinear(a, s, z)");
        g.add("y = DequantizeLinear(q, s, z)");
        return "y";
      }),
    message: "QuantizeLinear 'q': found uint16 codes, expected activations of 8 bits or fewer.",
  },
  {
    what: "activations per channel",
    graph: () =>
      graphOf((g) => {
        conv(g);
        g.constants.s = float32([4], [1, 2, 3, 4]);
        g.constants.z = g.codes([4], [0, 0, 0, 0], "uint8");
        g.add("q = QuantizeLinear(a, s, z)", { axis: 1 });
        g.add("y = DequantizeLinear(q, s, z)", { axis: 1 });
        return "y";
      }),
    message: "QuantizeLinear 'q': found 4 scales, expected one for the whole activation.",
  },
  {
    what: "two encodings of one value",
    graph: () =>
      graphOf((g) => {
        conv(g);
        g.pair("a", encoding);
        g.add(`q2 = QuantizeLinear(a, ${g.scalar("s2", 0.5)})`);
        g.add("d2 = DequantizeLinear(q2, s2)");
        g.add("y = Add(a_d, d2)");
        return g.pair("y", encoding);
      }),
    message: "QuantizeLinear 'q2': found scale 0.5, zero point 0 of unsigned codes for 'a', which has codes of scale",
  },
  {
    what: "a product of two activations",
    graph: () => graphOf((g) => last(g.add("y = MatMul(x_d, x_d)"), g.pair("y", encoding))),
    message: "MatMul 'y': found a product of two activations, expected constant weights.",
  },
  {
    what: "arithmetic on codes",
    graph: () => graphOf((g) => last(g.add("y = Add(x_q, x_q)"), "y")),
    message: "Add 'y': found arithmetic on codes, expected DequantizeLinear before it, or an operator that only moves codes.",
  },
  {
    what: "an operator without integer form",
    graph: () => graphOf((g) => last(g.add("y = CumSum(x_d, axis)"), g.integers("axis", [1]), g.pair("y", encoding))),
    message: "CumSum",
  },
  {
    what: "an input in float",
    graph: () => {
      const g = new Foreign(u8s8);
      g.add("r = Relu(x)");
      return g.graph({ x: size }, [g.pair("r", encoding)]);
    },
    message: "input 'x': found no QuantizeLinear behind it, expected a scale and zero point.",
  },
];

test.for(refusals)("$what", async ({ graph, message }) => {
  await expect(async () => program(graph())).rejects.toThrow(message);
});

test("a cut ends the program before what has no integer form", async () => {
  const graph = graphOf((g) => last(dense(g), g.add("p = Softmax(y)", { axis: -1 }), "p"), [1, 3]);
  const plan = await program(graph, ["y"]);
  expect(plan.outputs.map((i) => plan.values[i]!.name)).toEqual(["y"]);
  await expect(program(graph, ["z"])).rejects.toThrow("cut z: found no computed value of that name");
});

/** Real answers of the program and of the file's operators for random codes. */
async function answers(graph: Graph): Promise<[program: number[], file: number[]]> {
  const plan = await program(graph);
  const [input, output] = [plan.values[plan.inputs[0]!]!, plan.values[plan.outputs[0]!]!];
  const x = randomTensor(graph.facts.get("x")!.dims as number[], 3);
  const codes = Int8Array.from(x.data as Float32Array, (v) => Math.floor(128 * v));
  const reals = Float32Array.from(codes, (c) => input.scale[0]! * (c - input.zeroPoint));
  const expected = evaluateReference(graph, new Map([["x", { ...x, data: reals }]]));
  const got = interpretPlan(plan, { x: codes })[output.name]!;
  const perChannel = got.length / output.scale.length;
  return [
    Array.from(got, (code, i) => output.scale[output.scale.length === 1 ? 0 : Math.floor(i / perChannel)]! * (code - output.zeroPoint)),
    Array.from(expected.get(graph.outputs[0]!)!.data as Float32Array),
  ];
}

test("a bias of another scale is rounded to the accumulators'", async () => {
  const graph = graphOf((g) => {
    const y = conv(g);
    const scale = g.constants.a_b_scale!;
    g.constants.a_b_scale = { ...scale, data: (scale.data as Float32Array).map((s) => 2 * s) };
    return y;
  });
  const [got, expected] = await answers(graph);
  got.forEach((y, i) => {
    expect(Math.abs(y - expected[i]!)).toBeLessThan(1e-3);
  });
});

test("codes of another scale on the other side of a pool are encoded anew", async () => {
  const graph = graphOf((g) => {
    g.add("p = MaxPool(x_d)", { kernel_shape: [2, 2] });
    return g.pair("p", { scale: 0.031, zero: 100 });
  });
  const [got, expected] = await answers(graph);
  expect(got.map(Math.fround)).toEqual(expected);
});

test("codes that are quantized again become those codes", async () => {
  const graph = graphOf((g) => {
    g.add(`q2 = QuantizeLinear(x_d, ${g.encode("y", { scale: 0.031, zero: 100 })})`);
    g.add("y = DequantizeLinear(q2, y_scale, y_zero)");
    return "y";
  });
  const [got, expected] = await answers(graph);
  expect(got.map(Math.fround)).toEqual(expected);
});

test("weights of −128 are exact in every kernel", async () => {
  for (const [dims, attributes] of [
    [[16, 1, 3, 3], { group: 16, pads: [1, 1, 1, 1] }],
    [[16, 16, 3, 3], { pads: [1, 1, 1, 1] }],
    [[16, 16, 1, 1], {}],
  ] as const) {
    const g = new Foreign({ ...u8s8, perChannel: false }, 1);
    g.pair("x", { scale: 0.01, zero: 255 });
    g.convQdq("a", "x", dims, attributes);
    const weights = g.constants.a_w_q!;
    g.constants.a_w_q = { ...weights, data: Int8Array.from(weights.data as Int8Array, () => -128) };
    const graph = g.graph({ x: [1, 16, 9, 9] }, [g.pair("a", { scale: 5, zero: 3 })]);
    const plan = await program(graph);
    const x = new Float32Array(16 * 81).fill(-3);
    const feeds = new Map([["x", float32([1, 16, 9, 9], x)]]);
    const expected = evaluateReference(graph, feeds, ["a_q"]).get("a_q")!.data;
    using session = await createSession(plan, { wasm: await integerModule() });
    const { codes } = Object.values(session.run({ x }))[0]!;
    expect(Array.from(codes, (code) => code + 128)).toEqual(Array.from(expected as Uint8Array));
    expect(new Set(codes).size).toBeGreaterThan(1);
  }
});
