import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { prepare } from "../../src/graph/prepare.ts";
import type { Graph } from "../../src/graph/types.ts";
import { findBlocks } from "../../src/graph/units.ts";
import { readModel } from "../../src/onnx/read.ts";
import { dataDir, withData } from "../data.ts";
import { graphOf, node, randomTensor } from "./build.ts";

const ops = (graph: Graph): string[] => findBlocks(graph).map(({ nodes }) => nodes.map(({ op }) => op).join(" "));
const weights = (dims: number[]) => randomTensor(dims, dims.length);

test("a residual unit is one block with its activation, a layer before it another, nodes without weights none", () => {
  const graph = graphOf(
    { x: ["N", 4, 8, 8] },
    [
      node("a = Conv(x, w)", { pads: [1, 1, 1, 1] }),
      node("b = Relu(a)"),
      node("c = Conv(b, w)", { pads: [1, 1, 1, 1] }),
      node("d = Add(c, b)"),
      node("e = Relu(d)"),
      node("f = GlobalAveragePool(e)"),
      node("g = Flatten(f)"),
      node("h = Gemm(g, fc)"),
    ],
    { w: weights([4, 4, 3, 3]), fc: weights([4, 2]) },
  );
  expect(ops(graph)).toEqual(["Conv Relu", "Conv Add Relu", "Gemm"]);
  expect(findBlocks(graph).map(({ inputs, output }) => [inputs, output])).toEqual([
    [["x"], "b"],
    [["b"], "e"],
    [["g"], "h"],
  ]);
});

test("a network may end in a residual unit, and a projection belongs to the unit", () => {
  const graph = graphOf({ x: ["N", 4, 8, 8] }, [node("a = Conv(x, w)"), node("b = Conv(x, v)"), node("c = Add(a, b)")], {
    w: weights([8, 4, 1, 1]),
    v: weights([8, 4, 1, 1]),
  });
  expect(ops(graph)).toEqual(["Conv Conv Add"]);
});

test("an inverted residual without a shortcut is one block; a depthwise layer with a separate activation is a layer", () => {
  const pads = { pads: [1, 1, 1, 1], group: 8 };
  const chain = (last: string[]): Graph =>
    graphOf(
      { x: ["N", 4, 8, 8] },
      [
        node("a = Conv(x, expand)"),
        node("b = Relu(a)"),
        node("c = Conv(b, deep)", pads),
        node("d = Relu(c)"),
        node("e = Conv(d, project)"),
        ...last.map((text) => node(text)),
      ],
      { expand: weights([8, 4, 1, 1]), deep: weights([8, 1, 3, 3]), project: weights([4, 8, 1, 1]) },
    );
  expect(ops(chain([]))).toEqual(["Conv Relu Conv Relu Conv"]);
  expect(ops(chain(["f = Relu(e)"]))).toEqual(["Conv Relu", "Conv Relu", "Conv Relu"]);
});

test("a bias or scale written apart belongs to its layer; a product of activations is no layer", () => {
  const graph = graphOf({ x: [4, 4] }, [node("a = MatMul(x, w)"), node("b = Add(a, c)"), node("d = Gelu(b)"), node("e = MatMul(d, d)")], {
    w: weights([4, 4]),
    c: weights([4]),
  });
  expect(ops(graph)).toEqual(["MatMul Add Gelu"]);
});

test("a skip around more layers than a unit has leaves them single", () => {
  const nodes = Array.from({ length: 13 }, (_, i) => node(`v${i + 1} = MatMul(v${i}, w)`));
  const graph = graphOf({ v0: ["N", 4] }, [...nodes, node("y = Add(v13, v0)")], { w: weights([4, 4]) });
  expect(findBlocks(graph)).toHaveLength(13);
  expect(ops(graph).every((op) => op === "MatMul")).toBe(true);
});

const networks: [string, number][] = [
  ["cifar10/resnet20", 11],
  ["fashion/resnet20", 11],
  ["fashion/mobilenetv2", 10],
  ["imagenet/mobilenetv2", 20],
  ["fashion/vit", 10],
  ["kws/dscnn", 10],
];

withData.for(networks)("%s has %i blocks, each layer in one", ([name, count]) => {
  const graph = prepare(readModel(new Uint8Array(readFileSync(`${dataDir}/${name}/model.onnx`))));
  const blocks = findBlocks(graph);
  expect(blocks).toHaveLength(count);
  expect(new Set(blocks.map((block) => block.name)).size).toBe(count);
  expect(blocks.every(({ inputs }) => inputs.length === 1)).toBe(true);
  const layers = ["Conv", "Gemm", "MatMul"];
  const all = graph.nodes.filter(({ op, inputs }) => layers.includes(op) && graph.constants.has(inputs[1]!));
  const inBlocks = blocks.flatMap(({ nodes }) => nodes.filter((n) => all.includes(n)));
  expect(inBlocks).toEqual(all);
});
