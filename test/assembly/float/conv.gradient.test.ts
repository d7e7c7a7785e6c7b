import { expect, test } from "vitest";
import { algorithmFor } from "../../../src/ops/conv.forward.ts";
import { convolutionOf, filtersOf, mirrored } from "../../../src/ops/conv.geometry.ts";
import { inputGradient, weightGradient } from "../../../src/ops/conv.gradient.ts";
import * as reference from "./conv.reference.ts";
import { error, generator, randomTensor, runOnDevice } from "./device.ts";

interface Problem {
  readonly n: number;
  readonly c: number;
  readonly o: number;
  readonly size: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly geometry?: Partial<reference.Geometry>;
}

interface Errors {
  /** Relative to the largest entries. */
  readonly dx: number;
  readonly dw: number;
  /** Whether each went by F(4×4). */
  readonly tiled: { readonly dx: boolean; readonly dw: boolean };
}

function errors(p: Problem, seed: number): Errors {
  const g: reference.Geometry = { ...reference.plain, ...p.geometry };
  const next = generator(seed);
  const [oh, ow] = p.size.map((size, i) =>
    reference.outputSize(size, p.kernel[i]!, g.strides[i]!, g.dilations[i]!, g.pads[i]!, g.pads[i + 2]!),
  ) as [number, number];
  const x = randomTensor([p.n, p.c, ...p.size], next);
  const weights = randomTensor([p.o, p.c / g.groups, ...p.kernel], next);
  const dy = randomTensor([p.n, p.o, oh, ow], next);
  const attributes = { group: g.groups, strides: g.strides, dilations: g.dilations, pads: g.pads };
  const dx = runOnDevice(attributes, [dy, weights], x.dims, ["channels-last", "row-major", "channels-last"], inputGradient);
  const dw = runOnDevice(attributes, [x, dy], weights.dims, ["channels-last", "channels-last", "row-major"], weightGradient);
  const shape = convolutionOf({ name: "", op: "Conv", inputs: [], outputs: [], attributes }, x.dims, weights.dims, dy.dims);
  const filters = filtersOf({ ptr: 0, dims: weights.dims, layout: "row-major" }, shape);
  const back = algorithmFor(mirrored(shape, filters).shape);
  return {
    tiled: { dx: g.strides.every((stride) => stride === 1) && back === "winograd4", dw: algorithmFor(shape) === "winograd4" },
    dx: error(dx, reference.transposedConvolution(dy, weights, undefined, g, x.dims)),
    dw: error(dw, reference.weightGradient(x, dy, g, weights.dims)),
  };
}

/** By tiles, the growth inside a tile; directly, a sum over positions in float32. */
function expectRight(p: Problem, seed: number): void {
  const { dx, dw, tiled } = errors(p, seed);
  expect(dx, `dX ${JSON.stringify(p)}`).toBeLessThan(tiled.dx ? 1e-5 : 2e-6);
  expect(dw, `dW ${JSON.stringify(p)}`).toBeLessThan(tiled.dw ? 3e-5 : 2e-6);
}

test("gradients of 3×3 convolutions of every map from 1×1 to 14×14 equal the definition", () => {
  for (let h = 1; h <= 14; h++) {
    for (let w = 1; w <= 14; w++) {
      const [c, o] = [8 + ((h * 5 + w * 3) % 6), 8 + ((h * 3 + w * 7) % 7)];
      expectRight({ n: 1 + ((h + w) % 3), c, o, size: [h, w], kernel: [3, 3], geometry: { pads: [1, 1, 1, 1] } }, h * 32 + w);
    }
  }
});

test.for<[string, Problem]>([
  ["1×1", { n: 3, c: 13, o: 18, size: [5, 4], kernel: [1, 1] }],
  ["1×1, stride 2", { n: 2, c: 12, o: 5, size: [7, 6], kernel: [1, 1], geometry: { strides: [2, 2] } }],
  ["7×7, stride 2", { n: 2, c: 3, o: 20, size: [15, 14], kernel: [7, 7], geometry: { strides: [2, 2], pads: [3, 3, 3, 3] } }],
  ["one-sided pads", { n: 2, c: 9, o: 11, size: [9, 13], kernel: [3, 3], geometry: { pads: [2, 0, 0, 1] } }],
  ["cropping", { n: 2, c: 9, o: 11, size: [11, 13], kernel: [3, 3], geometry: { pads: [-1, 1, 0, -2] } }],
  ["wide rows", { n: 1, c: 8, o: 9, size: [6, 170], kernel: [3, 3], geometry: { pads: [1, 1, 1, 1] } }],
  ["large rows in blocks", { n: 1, c: 300, o: 12, size: [9, 40], kernel: [3, 2], geometry: { pads: [1, 0, 1, 1] } }],
  ["groups", { n: 2, c: 15, o: 21, size: [6, 7], kernel: [3, 3], geometry: { groups: 3, pads: [1, 1, 1, 1] } }],
  ["depthwise", { n: 2, c: 11, o: 11, size: [8, 7], kernel: [3, 3], geometry: { groups: 11, pads: [1, 1, 1, 1] } }],
  [
    "depthwise, stride 2",
    { n: 2, c: 12, o: 12, size: [8, 7], kernel: [5, 3], geometry: { groups: 12, strides: [2, 2], pads: [2, 1, 1, 0] } },
  ],
  [
    "depthwise, dilated",
    { n: 1, c: 6, o: 6, size: [9, 9], kernel: [3, 3], geometry: { groups: 6, dilations: [2, 3], pads: [2, 3, 2, 3] } },
  ],
])("gradients of Conv: %s", ([, problem]) => expectRight(problem, 11));

test("direct gradients stay within 2e-6 of the largest entry", () => {
  const geometry: Partial<reference.Geometry> = { strides: [2, 2], pads: [1, 1, 1, 1] };
  const { dx, dw } = errors({ n: 6, c: 16, o: 16, size: [24, 24], kernel: [3, 3], geometry }, 3);
  expect(dx).toBeLessThan(2e-6);
  expect(dw).toBeLessThan(2e-6);
});

test("gradients of random convolutions equal the definition", () => {
  const next = generator(123);
  const pick = (from: number, to: number): number => from + (Math.floor(Math.abs(next()) * 1000) % (to - from + 1));
  for (let i = 0; i < 150; i++) {
    const groups = pick(0, 2) ? 1 : pick(1, 3);
    const kernel: [number, number] = [pick(1, 4), pick(1, 4)];
    const dilations: [number, number] = [pick(1, 2), pick(1, 2)];
    const pads: [number, number, number, number] = [pick(0, 3), pick(0, 3), pick(0, 3), pick(0, 3)];
    const size: [number, number] = [pick(1, 10), pick(1, 10)];
    if (size.some((s, a) => s + pads[a]! + pads[a + 2]! < (kernel[a]! - 1) * dilations[a]! + 1)) continue;
    const geometry: reference.Geometry = { groups, strides: [pick(1, 3), pick(1, 3)], dilations, pads };
    expectRight({ n: pick(1, 3), c: groups * pick(1, 10), o: groups * pick(1, 10), size, kernel, geometry }, i);
  }
});
