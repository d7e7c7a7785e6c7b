import { expect, test } from "vitest";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import { specialize } from "../../src/graph/infer.ts";
import { sortNodes } from "../../src/graph/order.ts";
import type { GraphNode } from "../../src/graph/types.ts";
import { graphOf, int64s, node, randomTensor } from "./build.ts";

const dynamic = () =>
  graphOf(
    { x: ["N", 3, "H", "H"], z: ["N", 12] },
    [
      node("s = Shape(x)"),
      node("n = Slice(s, zero, one)"),
      node("target = Concat(n, rest)", { axis: 0 }),
      node("g = GlobalAveragePool(x)"),
      node("r = Reshape(z, target)"),
      node("y = Mul(g, r)"),
    ],
    { zero: int64s([0]), one: int64s([1]), rest: int64s([3, 2, -1]) },
  );

test("shape arithmetic follows a symbolic batch", () => {
  const { facts } = dynamic();
  expect(facts.get("s")?.elements).toEqual(["N", 3, "H", "H"]);
  expect(facts.get("target")?.elements).toEqual(["N", 3, 2, -1]);
  expect(facts.get("y")?.dims).toEqual(["N", 3, 2, 2]);
});

test("one size settles a symbol everywhere", () => {
  const graph = specialize(dynamic(), { x: [4, 3, 8, 8] });
  expect(graph.facts.get("z")?.dims).toEqual([4, 12]);
  expect(graph.facts.get("y")?.dims).toEqual([4, 3, 2, 2]);
});

test("what was inferred is what a run gives", () => {
  const graph = dynamic();
  const feeds = new Map([
    ["x", randomTensor([4, 3, 8, 8], 1)],
    ["z", randomTensor([4, 12], 2)],
  ]);
  const shapes = specialize(graph, { x: [4, 3, 8, 8] }).facts;
  for (const [name, tensor] of evaluateReference(graph, feeds, ["s", "target", "g", "r"]))
    expect(tensor.dims).toEqual(shapes.get(name)!.dims);
});

test.for<readonly [string, Record<string, readonly number[]>, RegExp]>([
  ["a size that contradicts the model", { x: [4, 2, 8, 8] }, /input 'x': found sizes \[4, 2, 8, 8\], expected \[N, 3, H, H\]/],
  ["a symbol with two values", { x: [4, 3, 8, 9] }, /input 'x'/],
  ["a symbol with two values in two inputs", { x: [4, 3, 8, 8], z: [5, 12] }, /input 'z'/],
  ["another rank", { x: [4, 3] }, /input 'x'/],
  ["no such input", { q: [1] }, /input 'q'.*x, z/],
])("%s: refused", ([, sizes, message]) => {
  expect(() => specialize(dynamic(), sizes)).toThrow(message);
});

test("feeds are checked against the graph", () => {
  const graph = dynamic();
  const z = randomTensor([4, 12], 2);
  expect(() => evaluateReference(graph, new Map([["z", z]]))).toThrow(/input 'x': found nothing/);
  expect(() =>
    evaluateReference(
      graph,
      new Map([
        ["x", z],
        ["z", z],
      ]),
    ),
  ).toThrow(/input 'x': found float32 \[4, 12\]/);
});

test("a chain of 100,000 nodes is sorted without recursion", () => {
  const chain: GraphNode[] = Array.from({ length: 100_000 }, (_, i) => node(`v${i + 1} = Relu(v${i})`));
  const sorted = sortNodes(chain.toReversed(), ["v0"], ["v100000"]);
  expect(sorted.map(({ name }) => name)).toEqual(chain.map(({ name }) => name));
});

test("nodes that could run at the same time keep their order", () => {
  const nodes = [node("b = Relu(x)"), node("a = Neg(x)"), node("y = Add(a, b)")];
  expect(sortNodes(nodes, ["x"], ["y"])).toEqual(nodes);
});
