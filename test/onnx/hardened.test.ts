import { expect, test } from "vitest";
import { dequantizeWeights } from "../../src/formats/weights.ts";
import type { Graph, GraphNode } from "../../src/graph/types.ts";
import { hardenedGraph } from "../../src/onnx/hardened.ts";
import { biasScale } from "../../src/quantized/bias.ts";
import { findBiases } from "../../src/quantized/fusions.ts";
import { graphOf, node, randomTensor } from "../graph/build.ts";
import { run } from "../reconstruct/network.ts";

const constantOf = (graph: Graph, name: string, input: number): ArrayLike<number | bigint> => {
  const found = graph.nodes.find((each) => each.name === name) as GraphNode;
  return graph.constants.get(found.inputs[input]!)!.data;
};

test("weights and the biases that a method chose are what their codes stand for; other biases stay", async () => {
  const { quantized } = await run({ method: "gptq", weights: 4, activations: 8 });
  const graph = hardenedGraph(quantized);
  for (const [name, weight] of quantized.weights) expect(constantOf(graph, name, 1)).toEqual(dequantizeWeights(weight).data);
  const codes = quantized.biases!.get("c0")!;
  const { scale } = quantized.weights.get("c0")!.encoding;
  const step = quantized.activations.get("x")!.scale[0]!;
  expect(constantOf(graph, "c0", 2)).toEqual(Float32Array.from(codes, (code, o) => code * biasScale(step, scale[o]!)));
  const untouched = hardenedGraph({ ...quantized, biases: undefined });
  expect(constantOf(untouched, "c0", 2)).toEqual(constantOf(quantized.graph, "c0", 2));
});

test("a bias is the node's own, or that of the Add behind a product", () => {
  const graph = graphOf(
    { x: ["N", 4] },
    [node("p = MatMul(x, w)"), node("q = Add(p, b)"), node("r = Relu(q)"), node("y = Gemm(r, w, c)"), node("z = MatMul(y, w)")],
    { w: randomTensor([4, 4], 1), b: randomTensor([4], 2), c: randomTensor([4], 3) },
  );
  const found = [...findBiases(graph)].map(([owner, { constant, reader }]) => [owner.op, constant, reader.op]);
  expect(found).toEqual([
    ["MatMul", "b", "Add"],
    ["Gemm", "c", "Gemm"],
  ]);
});
