import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { prepare } from "../../src/graph/prepare.ts";
import { readModel } from "../../src/onnx/read.ts";
import { isWeighted } from "../../src/quantized/fusions.ts";
import { findParts } from "../../src/reconstruct/scopes.ts";
import { dataDir, withData } from "../data.ts";

/** Layers with weights in each block. */
function blocks(name: string): number[] {
  const graph = prepare(readModel(new Uint8Array(readFileSync(`${dataDir}/${name}/model.onnx`))));
  const parts = findParts(graph, "block");
  expect(parts.flatMap(({ nodes }) => nodes).length).toBe(graph.nodes.length);
  return parts.map(({ nodes }) => nodes.filter((node) => isWeighted(graph, node)).length);
}

withData("a residual network: the first convolution, nine blocks of two, the matrix", () => {
  expect(blocks("cifar10/resnet20")).toEqual([1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1]);
});

withData("inverted residuals are blocks with a shortcut and without", () => {
  const found = blocks("imagenet/mobilenetv2");
  // Stem, depthwise with its projection, sixteen blocks of three, the last convolution, the classifier: 20 units.
  expect(found).toEqual([1, 2, ...Array.from({ length: 16 }, () => 3), 1, 1]);
});
