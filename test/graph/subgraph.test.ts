import { expect, test } from "vitest";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import { subgraph } from "../../src/graph/subgraph.ts";
import { graphOf, node, randomTensor } from "./build.ts";

const graph = graphOf(
  { x: ["N", 4], z: ["N", 4] },
  [node("a = MatMul(x, w)"), node("b = Relu(a)"), node("c = Add(b, z)"), node("d = MatMul(b, v)"), node("e = Sub(d, c)")],
  { w: randomTensor([4, 4], 1), v: randomTensor([4, 4], 2) },
  ["e"],
);
const feeds = new Map([
  ["x", randomTensor([3, 4], 3)],
  ["z", randomTensor([3, 4], 4)],
]);

test("a part has the nodes, constants and facts between its ends, in order", () => {
  const part = subgraph(graph, ["b"], ["d"]);
  expect(part.nodes.map(({ outputs }) => outputs[0])).toEqual(["d"]);
  expect([...part.constants.keys()]).toEqual(["v"]);
  expect([...part.facts.keys()].sort()).toEqual(["b", "d", "v"]);
  expect(part.facts.get("b")).toEqual({ dtype: "float32", dims: ["N", 4] });
});

test("parts one after the other are the whole", () => {
  const whole = evaluateReference(graph, feeds, ["b"]);
  const first = evaluateReference(subgraph(graph, ["x"], ["b"]), new Map([["x", feeds.get("x")!]]));
  const second = evaluateReference(subgraph(graph, ["b", "z"], ["e"]), new Map([...first, ["z", feeds.get("z")!]]));
  expect(second.get("e")).toEqual(whole.get("e"));
});

test("a constant may be fed", () => {
  const part = subgraph(graph, ["b", "v"], ["d"]);
  expect([...part.constants.keys()]).toEqual([]);
  expect(part.facts.get("v")!.constant).toBeUndefined();
});

test("unknown names and missing inputs are told", () => {
  expect(() => subgraph(graph, ["nothing"], ["d"])).toThrow(/'nothing'/);
  expect(() => subgraph(graph, ["b"], ["e"])).toThrow(/'z'/);
});
