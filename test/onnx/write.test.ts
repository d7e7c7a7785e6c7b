import { readFileSync } from "node:fs";
import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import { prepare } from "../../src/graph/prepare.ts";
import { summarize } from "../../src/graph/summarize.ts";
import type { Graph } from "../../src/graph/types.ts";
import { ModelProtoSchema } from "../../src/onnx/onnx_pb.ts";
import { readModel } from "../../src/onnx/read.ts";
import { writeModel } from "../../src/onnx/write.ts";
import { dataDir, withData } from "../data.ts";
import { float32, graphOf, node, opsOf, randomTensor } from "../graph/build.ts";

const again = (graph: Graph): Graph => readModel(writeModel(graph));
const tiny = (): Graph => readModel(readFileSync(new URL("../fixtures/tiny.onnx", import.meta.url)));

test("a graph is read back as it was written, names included", () => {
  for (const graph of [tiny(), prepare(tiny())]) expect(again(graph)).toEqual({ ...graph, notes: new Map() });
});

test("numbers, lists, text and tensors are attributes of the kinds ONNX declares", () => {
  const graph = graphOf({ x: ["N", 2, 4, 4] }, [
    node("a = LeakyRelu(x)", { alpha: 1 }),
    node("b = MaxPool(a)", { kernel_shape: [2, 2], ceil_mode: 0, auto_pad: "SAME_UPPER" }),
    node("s = Shape(b)"),
    node("y = ConstantOfShape(s)", { value: float32([1], [3]) }),
  ]);
  expect(again(graph).nodes).toEqual(graph.nodes);
  const protos = fromBinary(ModelProtoSchema, writeModel(graph)).graph!.node;
  expect(protos[0]!.attribute[0]).toMatchObject({ type: 1, f: 1 });
  expect(protos[1]!.attribute[1]).toMatchObject({ type: 2, i: 0n });
});

test("Swish is spelled out for runtimes that do not know it", () => {
  const graph = graphOf({ x: [2, 3] }, [node("y = Swish(x)", { alpha: 1 })]);
  expect(fromBinary(ModelProtoSchema, writeModel(graph)).graph!.node.map(({ opType }) => opType)).toEqual(["Sigmoid", "Mul"]);
  const feeds = new Map([["x", randomTensor([2, 3], 1)]]);
  const [expected] = evaluateReference(graph, feeds).values();
  const [got] = evaluateReference(again(graph), feeds).values();
  expected!.data.forEach((value, i) => {
    expect(got!.data[i]).toBeCloseTo(Number(value), 6);
  });
  expect(opsOf(prepare(again(graph)))).toEqual(["Swish"]);
});

test("the same graph is written as the same bytes", () => {
  expect(writeModel(tiny())).toEqual(writeModel(tiny()));
});

withData.for(["cifar10/resnet20/model_raw", "fashion/vit/model", "fashion/mobilenetv2/model", "mnist/cntk/model"])(
  "%s, prepared, survives the way out and in",
  (name) => {
    const graph = prepare(readModel(readFileSync(`${dataDir}/${name}.onnx`)));
    expect(summarize(again(graph))).toEqual(summarize(graph));
  },
);
