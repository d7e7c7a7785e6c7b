import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createEngine, type Engine } from "../../../src/engine/index.ts";
import type { DeviceTensor, Layout } from "../../../src/engine/types.ts";
import type { Graph, GraphNode } from "../../../src/graph/types.ts";
import { extended, Gatherer, type LayerSums } from "../../../src/reconstruct/gram/gather.ts";
import { type LayerView, layerView } from "../../../src/reconstruct/gram/layer.ts";
import { convertLayout } from "../../../src/ops/strided.ts";
import { positions, windowOf } from "../../../src/ops/windows.ts";

const golden = JSON.parse(readFileSync(new URL("../../golden/b-06_gptq.json", import.meta.url), "utf8"));
const product = (dims: readonly number[]): number => dims.reduce((p, d) => p * d, 1);

const emptyGraph: Graph = {
  name: "none",
  inputs: ["x"],
  outputs: ["x"],
  nodes: [],
  constants: new Map(),
  facts: new Map([["x", { dtype: "float32", dims: [1] }]]),
  notes: new Map(),
};
const engine: Engine = await createEngine(emptyGraph);

interface Layer {
  readonly op: "Conv" | "Gemm" | "MatMul";
  readonly x: readonly number[];
  readonly weights: readonly number[];
  readonly attributes: GraphNode["attributes"];
}

function viewOf({ op, weights, attributes }: Layer): LayerView {
  const node: GraphNode = { name: "layer", op, inputs: ["x", "w"], outputs: ["y"], attributes };
  const tensor = { dtype: "float32" as const, dims: weights, data: new Float32Array(product(weights)) };
  return layerView({ ...emptyGraph, nodes: [node], constants: new Map([["w", tensor]]) }, node)!;
}

/** Rows of the input matrix of each group, by the definition of the operator: [groups][positions][columns]. */
function rowsOf(layer: Layer, view: LayerView, x: Float32Array, samples: number): number[][][] {
  const { x: dims } = layer;
  if (layer.op !== "Conv") {
    const count = (x.length / view.columns / dims[0]!) * samples;
    return [Array.from({ length: count }, (_, r) => Array.from(x.subarray(r * view.columns, (r + 1) * view.columns)))];
  }
  const sizes = dims.slice(2);
  const window = windowOf(view.node, layer.weights.slice(2));
  const out = sizes.map((size, i) => {
    const extent = (window.kernel[i]! - 1) * window.dilations[i]! + 1;
    return Math.floor((size + window.pads[i]! + window.pads[i + sizes.length]! - extent) / window.strides[i]!) + 1;
  });
  const { index, outputs, taps } = positions(window, sizes, out);
  const plane = product(sizes);
  const inner = dims[1]! / view.groups;
  return Array.from({ length: view.groups }, (_, g) =>
    Array.from({ length: samples * outputs }, (__, row) => {
      const [n, o] = [Math.floor(row / outputs), row % outputs];
      return Array.from({ length: view.columns }, (___, i) => {
        const at = index[o * taps + Math.floor(i / inner)]!;
        return at < 0 ? 0 : x[(n * dims[1]! + g * inner + (i % inner)) * plane + at]!;
      });
    }),
  );
}

function put(values: Float32Array, dims: readonly number[], layout: Layout): DeviceTensor {
  const ptr = engine.allocate(values.length * 4 + 16);
  new Float32Array(engine.memory.buffer, ptr, values.length).set(values);
  const plain: DeviceTensor = { dims, layout: "row-major", ptr };
  if (layout === "row-major" || dims.length < 3) return plain;
  const to = engine.allocate(values.length * 4 + 16);
  convertLayout(engine.kernels, to, plain, layout);
  engine.release(ptr);
  return { dims, layout, ptr: to };
}

/** Element (i, j) of group g as the sums hold it. */
function at(sums: Float64Array, view: LayerView, height: number, g: number, i: number, j: number): number {
  const [tall, wide] = [extended(view, height), extended(view, view.columns)];
  return view.depthwise ? sums[(((g >> 1) * tall + i) * wide + j) * 2 + (g & 1)]! : sums[(g * tall + i) * wide + j]!;
}

const small = fc.integer({ min: 1, max: 3 });
const convolution = fc
  .record({
    rank: fc.constantFrom(1, 2),
    n: small,
    groups: fc.constantFrom(1, 2, 3),
    inner: fc.integer({ min: 1, max: 5 }),
    outer: fc.integer({ min: 1, max: 5 }),
    size: fc.integer({ min: 3, max: 9 }),
    kernel: fc.integer({ min: 1, max: 3 }),
    stride: fc.integer({ min: 1, max: 2 }),
    dilation: fc.integer({ min: 1, max: 2 }),
    pad: fc.integer({ min: 0, max: 2 }),
  })
  .filter(({ size, kernel, dilation, pad }) => size + 2 * pad >= (kernel - 1) * dilation + 1)
  .map(({ rank, n, groups, inner, outer, size, kernel, stride, dilation, pad }): Layer => {
    const spread = (value: number): number[] => new Array<number>(rank).fill(value);
    return {
      op: "Conv",
      x: [n, groups * inner, ...(rank === 1 ? [size] : [size, size + 1])],
      weights: [groups * outer, inner, ...spread(kernel)],
      attributes: { group: groups, strides: spread(stride), dilations: spread(dilation), pads: [...spread(pad), ...spread(pad)] },
    };
  });
const products = fc
  .record({ n: small, t: small, k: fc.integer({ min: 1, max: 9 }), m: fc.integer({ min: 1, max: 5 }) })
  .chain(({ n, t, k, m }) =>
    fc.constantFrom<Layer>(
      { op: "Gemm", x: [n, k], weights: [m, k], attributes: { transB: 1 } },
      { op: "Gemm", x: [n, k], weights: [k, m], attributes: {} },
      { op: "MatMul", x: [n, t, k], weights: [k, m], attributes: {} },
    ),
  );

describe("sums of products", () => {
  test("are those of the operator's own windows, for any layer, layout and number of samples", () => {
    fc.assert(
      fc.property(
        fc.oneof(convolution, products),
        fc.constantFrom<Layout>("row-major", "channels-last"),
        fc.boolean(),
        fc.integer(),
        (layer, layout, codes, seed) => {
          const view = viewOf(layer);
          const samples = Math.max(1, layer.x[0]! - 1);
          const step = codes ? 0.037 : 0;
          let state = seed;
          const random = (): number => ((state = (Math.imul(state, 1664525) + 1013904223) | 0) >> 8) / 2 ** 23;
          // Real inputs keep few bits, so that float64 sums of them are exact in any order.
          const draw = (): number => Math.round(random() * 255);
          const whole = Float32Array.from({ length: product(layer.x) }, draw);
          const x = codes ? whole.map((value) => value * Math.fround(step)) : whole;
          const rows = rowsOf(layer, view, whole, samples);
          const count = rows[0]!.length;
          const outputs = view.groups * view.rows;
          const yDims = layer.op === "Conv" ? [samples, outputs, count / samples] : [count, outputs];
          const y = Float32Array.from({ length: count * outputs }, draw);
          const yAt = (row: number, o: number): number =>
            layer.op === "Conv"
              ? y[(Math.floor(row / (count / samples)) * outputs + o) * (count / samples) + (row % (count / samples))]!
              : y[row * outputs + o]!;

          const gatherer = new Gatherer(engine, view, true);
          const device = put(x, layer.x, layout);
          const aims = put(y, yDims, layout);
          gatherer.add(layer.weights, samples, { tensor: device, step: Math.fround(step) }, aims);
          const sums: LayerSums = gatherer.take();
          for (const { ptr } of [device, aims]) engine.release(ptr);
          for (let g = 0; g < view.groups; g++) {
            const withOne = rows[g]!.map((row) => [...row, 1]);
            const sum = (f: (row: number[], r: number) => number): number => withOne.reduce((total, row, r) => total + f(row, r), 0);
            for (let j = 0; j <= view.columns; j++) {
              for (let i = 0; i <= j; i++) expect(at(sums.inputs, view, view.columns, g, i, j)).toBe(sum((row) => row[i]! * row[j]!));
              for (let o = 0; o <= view.rows; o++) {
                const expected = sum((row, r) => (o < view.rows ? yAt(r, g * view.rows + o) : 1) * row[j]!);
                expect(at(sums.outputs!, view, view.rows, g, o, j)).toBe(expected);
              }
            }
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  test("of an integer image, as published", () => {
    const image = golden.im2col.image as number[][][];
    const layer: Layer = { op: "Conv", x: [1, 2, 4, 4], weights: [1, 2, 3, 3], attributes: { pads: [1, 1, 1, 1] } };
    const view = viewOf(layer);
    const gatherer = new Gatherer(engine, view, false);
    gatherer.add(layer.weights, 1, { tensor: put(Float32Array.from(image.flat(2)), layer.x, "row-major"), step: 0 });
    const { inputs } = gatherer.take();
    // The published order of columns is (channel, ky, kx), that of weights; ours (ky, kx, channel).
    for (let i = 0; i < 18; i++) {
      for (let j = i; j < 18; j++) {
        expect(at(inputs, view, 18, 0, i, j)).toBe(golden.im2col.gram[view.offset(0, i)][view.offset(0, j)]);
      }
    }
  });

  test("of the largest codes are exact over a whole block of rows", () => {
    const layer: Layer = { op: "Gemm", x: [1024, 9], weights: [2, 9], attributes: { transB: 1 } };
    const view = viewOf(layer);
    const gatherer = new Gatherer(engine, view, false);
    const x = Float32Array.from({ length: 1024 * 9 }, (_, i) => (i % 5 === 0 ? 254 : 255) * Math.fround(0.1));
    gatherer.add(layer.weights, 1024, { tensor: put(x, layer.x, "row-major"), step: Math.fround(0.1) });
    const { inputs } = gatherer.take();
    const code = (r: number, c: number): number => ((r * 9 + c) % 5 === 0 ? 254 : 255);
    for (let i = 0; i < 9; i++) {
      for (let j = i; j < 9; j++) {
        let sum = 0;
        for (let r = 0; r < 1024; r++) sum += code(r, i) * code(r, j);
        expect(at(inputs, view, 9, 0, i, j)).toBe(sum);
      }
    }
  });
});
