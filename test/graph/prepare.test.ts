import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import { specialize } from "../../src/graph/infer.ts";
import { prepare } from "../../src/graph/prepare.ts";
import { summarize } from "../../src/graph/summarize.ts";
import type { Graph } from "../../src/graph/types.ts";
import { readModel } from "../../src/onnx/read.ts";
import { dataDir, withData } from "../data.ts";
import { opsOf, randomTensor } from "./build.ts";

const load = (name: string): Graph => readModel(readFileSync(`${dataDir}/${name}.onnx`));
const tiny = (): Graph => readModel(readFileSync(new URL("../fixtures/tiny.onnx", import.meta.url)));

function count(graph: Graph): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const op of opsOf(graph)) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

/** Largest difference of the outputs for one random input, relative to the largest output. */
function drift(graph: Graph, dims: readonly number[]): number {
  const feeds = new Map([[graph.inputs[0]!, randomTensor(dims, 7)]]);
  const [before] = evaluateReference(graph, feeds).values();
  const [after] = evaluateReference(prepare(graph), feeds).values();
  const [x, y] = [before!.data as Float32Array, after!.data as Float32Array];
  const size = Math.max(...x.map(Math.abs));
  return Math.max(...x.map((value, i) => Math.abs(value - y[i]!))) / size;
}

test("a small network keeps what it computes and loses its BatchNormalization", () => {
  const graph = tiny();
  const prepared = prepare(graph);
  expect(count(prepared)).toEqual({ Conv: 8, Relu: 8, GlobalAveragePool: 1, Reshape: 1, Gemm: 1 });
  expect(prepared.notes.size).toBe(8);
  expect(drift(graph, [2, 1, 28, 28])).toBeLessThan(2e-6);
});

test("a prepared graph is at rest", () => {
  const prepared = prepare(tiny());
  expect(prepare(prepared)).toBe(prepared);
});

test("sizes given for one run reach every value", () => {
  const graph = specialize(prepare(tiny()), { input: [3, 1, 28, 28] });
  expect(graph.facts.get(graph.outputs[0]!)?.dims).toEqual([3, 10]);
  for (const fact of graph.facts.values()) expect(fact.dims?.every((dim) => typeof dim === "number")).toBe(true);
});

test("a summary does not depend on names, and does on weights", () => {
  const graph = prepare(tiny());
  const rename = (name: string): string => (name === "" ? "" : `other_${name}`);
  const renamed: Graph = {
    ...graph,
    inputs: graph.inputs.map(rename),
    outputs: graph.outputs.map(rename),
    nodes: graph.nodes.map((each) => ({
      ...each,
      name: rename(each.name),
      inputs: each.inputs.map(rename),
      outputs: each.outputs.map(rename),
    })),
    constants: new Map([...graph.constants].map(([name, tensor]) => [rename(name), tensor])),
    facts: new Map([...graph.facts].map(([name, fact]) => [rename(name), fact])),
  };
  expect(summarize(renamed)).toEqual(summarize(graph));
  const [name, tensor] = [...graph.constants].find(([, { dtype }]) => dtype === "float32")!;
  const nudged = { ...tensor, data: Float32Array.from(tensor.data as Float32Array, (x, i) => (i === 0 ? x + 1 : x)) };
  expect(summarize({ ...graph, constants: new Map(graph.constants).set(name, nudged) })).not.toEqual(summarize(graph));
});

withData.for([
  ["cifar10/resnet20/model", "cifar10/resnet20/model_folded"],
  ["cifar10/resnet20/model", "cifar10/resnet20/model_raw"],
  ["fashion/mobilenetv2/model", "fashion/mobilenetv2/model_raw"],
  ["fashion/vit/model", "fashion/vit/model_raw"],
])("%s and %s are the same network, to the bit of every weight", ([first = "", second = ""]) => {
  expect(summarize(prepare(load(second)))).toEqual(summarize(prepare(load(first))));
});

withData.for<readonly [string, readonly number[], Record<string, number>]>([
  [
    "cifar10/resnet20/model_raw",
    [1, 3, 32, 32],
    { Conv: 19, Relu: 19, Add: 9, Slice: 2, Pad: 2, GlobalAveragePool: 1, Reshape: 1, Gemm: 1 },
  ],
  ["fashion/resnet20/model", [1, 1, 28, 28], { Conv: 21, Relu: 19, Add: 9, GlobalAveragePool: 1, Reshape: 1, Gemm: 1 }],
  ["fashion/mobilenetv2/model_raw", [1, 1, 28, 28], { Conv: 22, Clip: 15, Add: 4, GlobalAveragePool: 1, Reshape: 1, Gemm: 1 }],
  ["kws/dscnn/model", [1, 1, 49, 10], { Conv: 9, Relu: 9, GlobalAveragePool: 1, Reshape: 1, Gemm: 1 }],
  ["mnist/lenet/model", [1, 1, 28, 28], { Conv: 2, Relu: 4, MaxPool: 2, Reshape: 1, Gemm: 3 }],
  ["mnist/cntk/model", [1, 1, 28, 28], { Conv: 2, Relu: 2, MaxPool: 2, Reshape: 1, Gemm: 1 }],
])("%s prepares to few operators and the same answers", ([name, dims, operators]) => {
  const graph = load(name);
  expect(count(prepare(graph))).toEqual(operators);
  expect(drift(graph, dims)).toBeLessThan(1e-5);
});

withData("a transformer keeps its answers, its norms and its activations whole", () => {
  const graph = load("fashion/vit/model_raw");
  const { LayerNormalization, Gelu, Softmax, Erf, Sqrt } = count(prepare(graph));
  expect({ LayerNormalization, Gelu, Softmax, Erf, Sqrt }).toEqual({ LayerNormalization: 9, Gelu: 4, Softmax: 4 });
  expect(drift(graph, [1, 1, 28, 28])).toBeLessThan(1e-5);
});
