import { expect, test } from "vitest";
import { type Algorithm, algorithmFor, convolutionKernels, convolve } from "../../../src/ops/conv.forward.ts";
import { convolutionOf, noClamp } from "../../../src/ops/conv.geometry.ts";
import type { Tensor } from "../../../src/graph/types.ts";
import { convolution, type Geometry, outputSize, plain, transposedConvolution } from "./conv.reference.ts";
import { error, generator, randomTensor, runKernel, runOnDevice } from "./device.ts";

const [conv, convTranspose] = convolutionKernels as [(typeof convolutionKernels)[0], (typeof convolutionKernels)[0]];

/** Largest error over the largest result: a sum of K products in float32, and the growth inside F(4×4) tiles. */
const tolerance: Readonly<Record<Algorithm, number>> = {
  pointwise: 1e-6,
  depthwise: 1e-6,
  direct: 1e-6,
  winograd2: 2e-6,
  winograd4: 1e-5,
};

interface Problem {
  readonly n: number;
  readonly c: number;
  readonly o: number;
  readonly size: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly geometry?: Partial<Geometry>;
  readonly bias?: boolean;
  readonly constant?: readonly boolean[];
}

function attributesOf(g: Geometry): Record<string, number | readonly number[]> {
  return { group: g.groups, strides: g.strides, dilations: g.dilations, pads: g.pads };
}

/** Runs a problem both ways and returns which algorithm ran and how far off it was. */
function check(p: Problem, seed: number): { algorithm: Algorithm; off: number } {
  const g: Geometry = { ...plain, ...p.geometry };
  const next = generator(seed);
  const x = randomTensor([p.n, p.c, ...p.size], next);
  const fan = (p.c / g.groups) * p.kernel[0] * p.kernel[1];
  const weights = randomTensor([p.o, p.c / g.groups, ...p.kernel], next, Math.sqrt(2 / fan));
  const bias = p.bias === false ? undefined : randomTensor([p.o], next);
  const [oh, ow] = p.size.map((size, i) => outputSize(size, p.kernel[i]!, g.strides[i]!, g.dilations[i]!, g.pads[i]!, g.pads[i + 2]!));
  const dims = [p.n, p.o, oh!, ow!];
  const attributes = attributesOf(g);
  const node = { name: "", op: "Conv", inputs: [], outputs: [], attributes };
  const algorithm = algorithmFor(convolutionOf(node, x.dims, weights.dims, dims));
  const actual = runKernel(conv, { attributes, inputs: [x, weights, bias], dims, ...(p.constant && { constant: p.constant }) });
  return { algorithm, off: error(actual, convolution(x, weights, bias, g, dims)) };
}

function expectRight(p: Problem, seed: number, algorithm?: Algorithm): void {
  const result = check(p, seed);
  if (algorithm) expect(result.algorithm, JSON.stringify(p)).toBe(algorithm);
  expect(result.off, `${result.algorithm} ${JSON.stringify(p)}`).toBeLessThan(tolerance[result.algorithm]);
}

const same: Partial<Geometry> = { pads: [1, 1, 1, 1] };

test("3×3 convolutions of every map from 1×1 to 20×20 equal the definition", () => {
  for (let h = 1; h <= 20; h++) {
    for (let w = 1; w <= 20; w++) {
      const c = 8 + ((h * 5 + w * 3) % 9);
      const o = 8 + ((h * 3 + w * 7) % 10);
      expectRight({ n: 1 + ((h + w) % 2), c, o, size: [h, w], kernel: [3, 3], geometry: same }, h * 32 + w);
    }
  }
});

test("the algorithm follows from the shape: F(4×4) from 5×5 maps up, F(2×2) below, direct on the smallest", () => {
  const of = (h: number, w: number): Algorithm => check({ n: 1, c: 16, o: 16, size: [h, w], kernel: [3, 3], geometry: same }, 1).algorithm;
  const sides = Array.from({ length: 16 }, (_, i) => i + 5);
  for (const side of sides) expect(of(side, side)).toBe("winograd4");
  expect([of(4, 4), of(3, 3), of(2, 3), of(4, 8)]).toEqual(["winograd2", "winograd2", "winograd2", "winograd2"]);
  expect([of(1, 1), of(2, 2), of(1, 4)]).toEqual(["direct", "direct", "direct"]);
});

test.for<[string, Problem, Algorithm]>([
  ["pads on one side only", { n: 2, c: 12, o: 9, size: [9, 13], kernel: [3, 3], geometry: { pads: [2, 0, 0, 1] } }, "winograd4"],
  ["pads beyond the kernel", { n: 1, c: 8, o: 8, size: [5, 6], kernel: [3, 3], geometry: { pads: [5, 6, 7, 4] } }, "winograd4"],
  ["rows wider than a block of tiles", { n: 1, c: 8, o: 8, size: [6, 300], kernel: [3, 3], geometry: same }, "winograd4"],
  ["many channels", { n: 1, c: 131, o: 20, size: [7, 7], kernel: [3, 3], geometry: same }, "winograd4"],
  ["many small images", { n: 19, c: 16, o: 24, size: [8, 8], kernel: [3, 3], geometry: same }, "winograd4"],
  ["many tiny images", { n: 40, c: 9, o: 17, size: [4, 3], kernel: [3, 3], geometry: same }, "winograd2"],
  ["no bias", { n: 1, c: 8, o: 11, size: [6, 6], kernel: [3, 3], geometry: same, bias: false }, "winograd4"],
  ["computed weights", { n: 2, c: 10, o: 12, size: [6, 7], kernel: [3, 3], geometry: same, constant: [false, false, false] }, "winograd4"],
  [
    "computed weights, direct",
    { n: 2, c: 5, o: 12, size: [6, 7], kernel: [3, 3], geometry: same, constant: [false, false, false] },
    "direct",
  ],
  [
    "a stem 7×7, stride 2",
    { n: 2, c: 3, o: 20, size: [31, 30], kernel: [7, 7], geometry: { strides: [2, 2], pads: [3, 3, 3, 3] } },
    "direct",
  ],
  ["1×1, stride 2", { n: 3, c: 17, o: 8, size: [9, 8], kernel: [1, 1], geometry: { strides: [2, 2] } }, "direct"],
  ["1×1 with padding", { n: 1, c: 6, o: 5, size: [4, 4], kernel: [1, 1], geometry: { pads: [1, 0, 1, 2] } }, "direct"],
  ["1×1, moved by padding and cropping", { n: 2, c: 6, o: 5, size: [4, 4], kernel: [1, 1], geometry: { pads: [1, 0, -1, 0] } }, "direct"],
  ["cropping", { n: 2, c: 8, o: 9, size: [12, 13], kernel: [3, 3], geometry: { pads: [-1, 2, -2, -3] } }, "winograd4"],
  [
    "depthwise, cropping",
    { n: 2, c: 8, o: 8, size: [12, 13], kernel: [3, 3], geometry: { groups: 8, pads: [-1, 2, -2, -3] } },
    "depthwise",
  ],
  ["1×1, groups", { n: 2, c: 12, o: 21, size: [5, 5], kernel: [1, 1], geometry: { groups: 3 } }, "pointwise"],
  ["long sums", { n: 1, c: 600, o: 10, size: [5, 5], kernel: [3, 3], geometry: { strides: [2, 2], pads: [1, 1, 1, 1] } }, "direct"],
  [
    "depthwise with multiplier 3",
    { n: 2, c: 5, o: 15, size: [8, 9], kernel: [3, 3], geometry: { groups: 5, pads: [1, 1, 1, 1] } },
    "depthwise",
  ],
  [
    "depthwise with multiplier 2, stride 2",
    { n: 2, c: 9, o: 18, size: [8, 9], kernel: [3, 5], geometry: { groups: 9, strides: [2, 1], pads: [1, 1, 0, 1] } },
    "depthwise",
  ],
  [
    "depthwise 5×5, stride 2",
    { n: 2, c: 37, o: 37, size: [11, 12], kernel: [5, 5], geometry: { groups: 37, strides: [2, 2], pads: [2, 1, 1, 2] } },
    "depthwise",
  ],
])("Conv: %s", ([, problem, algorithm]) => expectRight(problem, 7, algorithm));

test("1×1 convolutions equal the definition for any number of channels", () => {
  for (let c = 1; c <= 40; c += 3) {
    for (let o = 1; o <= 19; o += 2)
      expectRight({ n: 1 + (c % 3), c, o, size: [1 + (o % 4), 1 + (c % 5)], kernel: [1, 1] }, c * 64 + o, "pointwise");
  }
});

test("depthwise convolutions equal the definition for any number of channels", () => {
  for (let c = 2; c <= 40; c++) {
    const geometry: Partial<Geometry> = {
      groups: c,
      strides: [1 + (c % 2), 1 + (c % 3)],
      dilations: [1 + ((c >> 1) % 2), 1 + (c % 2)],
      pads: [c % 3, (c >> 1) % 3, 1, 2],
    };
    expectRight({ n: 1 + (c % 2), c, o: c, size: [6 + (c % 5), 7 + (c % 4)], kernel: [3, 3], geometry, bias: c % 4 > 0 }, c, "depthwise");
  }
});

test("random kernels, strides, dilations, paddings and groups equal the definition", () => {
  const next = generator(99);
  const pick = (from: number, to: number): number => from + (Math.floor(Math.abs(next()) * 1000) % (to - from + 1));
  for (let i = 0; i < 300; i++) {
    const groups = pick(0, 2) ? 1 : pick(1, 4);
    const kernel: [number, number] = [pick(1, 5), pick(1, 5)];
    const dilations: [number, number] = [pick(1, 3), pick(1, 3)];
    const pads: [number, number, number, number] = [pick(0, 3), pick(0, 3), pick(0, 3), pick(0, 3)];
    const size: [number, number] = [pick(1, 12), pick(1, 12)];
    if (size.some((s, a) => s + pads[a]! + pads[a + 2]! < (kernel[a]! - 1) * dilations[a]! + 1)) continue;
    const geometry: Geometry = { groups, strides: [pick(1, 3), pick(1, 3)], dilations, pads };
    expectRight({ n: pick(1, 3), c: groups * pick(1, 11), o: groups * pick(1, 11), size, kernel, geometry, bias: pick(0, 1) > 0 }, i);
  }
});

test("a clamp while storing equals a clamp afterwards, in every algorithm", () => {
  const cases: readonly [Algorithm, number, number, number, number, number][] = [
    ["winograd4", 9, 11, 7, 3, 1],
    ["winograd2", 9, 11, 3, 3, 1],
    ["direct", 5, 11, 6, 3, 1],
    ["pointwise", 9, 11, 6, 1, 1],
    ["depthwise", 23, 23, 6, 3, 23],
  ];
  for (const [algorithm, c, o, side, kernel, group] of cases) {
    const next = generator(c + side);
    const pad = (kernel - 1) / 2;
    const attributes = { group, pads: [pad, pad, pad, pad] };
    const inputs: [Tensor, Tensor] = [randomTensor([2, c, side, side], next), randomTensor([o, c / group, kernel, kernel], next)];
    const dims = [2, o, side, side];
    const node = { name: "", op: "Conv", inputs: [], outputs: [], attributes };
    expect(algorithmFor(convolutionOf(node, inputs[0].dims, inputs[1].dims, dims))).toBe(algorithm);
    const [free, bounded] = [noClamp, { low: -0.25, high: 1.5 }].map(
      (clamp) =>
        runOnDevice(attributes, inputs, dims, ["channels-last", "row-major", "channels-last"], (context, conv, x, w, y) =>
          convolve(context, conv, [x, w], y, clamp),
        ).data as Float32Array,
    );
    expect(bounded).toEqual(free!.map((v) => Math.min(1.5, Math.max(-0.25, v))));
    expect(free!.some((v) => v > 1.5) && free!.some((v) => v < -0.25)).toBe(true);
  }
});

test("auto_pad places the padding as ONNX says", () => {
  const next = generator(5);
  const x = randomTensor([1, 3, 6, 7], next);
  const weights = randomTensor([4, 3, 4, 2], next);
  for (const [mode, pads, dims] of [
    ["SAME_UPPER", [1, 0, 1, 1], [1, 4, 3, 4]],
    ["SAME_LOWER", [1, 1, 1, 0], [1, 4, 3, 4]],
    ["VALID", [0, 0, 0, 0], [1, 4, 2, 3]],
  ] as const) {
    const geometry: Geometry = { ...plain, strides: [2, 2], pads };
    const actual = runKernel(conv, { attributes: { auto_pad: mode, strides: [2, 2] }, inputs: [x, weights], dims });
    expect(error(actual, convolution(x, weights, undefined, geometry, dims)), mode).toBeLessThan(1e-6);
  }
});

test("one-dimensional convolutions are images of one row", () => {
  const next = generator(6);
  const x = randomTensor([2, 6, 23], next);
  const weights = randomTensor([10, 3, 5], next, 0.3);
  const geometry: Geometry = { groups: 2, strides: [1, 2], dilations: [1, 2], pads: [0, 3, 0, 1] };
  const dims = [2, 10, outputSize(23, 5, 2, 2, 3, 1)];
  const attributes = { group: 2, strides: [2], dilations: [2], pads: [3, 1] };
  const image = (t: Tensor): Tensor => ({ ...t, dims: [t.dims[0]!, t.dims[1]!, 1, t.dims[2]!] });
  const expected = convolution(image(x), image(weights), undefined, geometry, [2, 10, 1, dims[2]!]);
  expect(error(runKernel(conv, { attributes, inputs: [x, weights], dims }), expected)).toBeLessThan(1e-6);
});

test("volumes and empty tensors are left to the reference", () => {
  const node = { name: "", op: "Conv", inputs: [], outputs: [], attributes: {} };
  const accepts = (...dims: number[][]): boolean => conv.accepts(node, dims, () => undefined);
  expect(accepts([1, 2, 3, 4, 5], [2, 2, 1, 1, 1])).toBe(false);
  expect(accepts([0, 2, 3, 4], [2, 2, 1, 1])).toBe(false);
  expect(accepts([1, 2, 3, 4], [2, 2, 1, 1])).toBe(true);
});

test("a batch gives the same bytes as its images one by one", () => {
  for (const [c, o, side, kernel] of [
    [16, 16, 9, 3],
    [16, 24, 4, 3],
    [3, 16, 9, 3],
    [20, 12, 6, 1],
  ] as const) {
    const next = generator(c + side);
    const pad = (kernel - 1) / 2;
    const attributes = { pads: [pad, pad, pad, pad] };
    const weights = randomTensor([o, c, kernel, kernel], next);
    const batch = randomTensor([7, c, side, side], next);
    const whole = runKernel(conv, { attributes, inputs: [batch, weights], dims: [7, o, side, side] }).data as Float32Array;
    const size = c * side * side;
    const parts = Array.from({ length: 7 }, (_, i) => {
      const x: Tensor = { dtype: "float32", dims: [1, c, side, side], data: (batch.data as Float32Array).slice(i * size, (i + 1) * size) };
      return runKernel(conv, { attributes, inputs: [x, weights], dims: [1, o, side, side] }).data as Float32Array;
    });
    expect(new Float32Array(parts.flatMap((part) => [...part]))).toEqual(whole);
  }
});

test("random transposed convolutions equal the definition", () => {
  const next = generator(77);
  const pick = (from: number, to: number): number => from + (Math.floor(Math.abs(next()) * 1000) % (to - from + 1));
  for (let i = 0; i < 150; i++) {
    const groups = pick(0, 2) ? 1 : pick(1, 3);
    const kernel = [pick(1, 4), pick(1, 4)] as const;
    const strides = [pick(1, 3), pick(1, 3)] as const;
    const dilations = [pick(1, 2), pick(1, 2)] as const;
    const pads = [pick(0, 2), pick(0, 2), pick(0, 2), pick(0, 2)] as const;
    const size = [pick(1, 7), pick(1, 7)] as const;
    const extra = strides.map((s) => pick(0, s - 1));
    const out = size.map((s, a) => (s - 1) * strides[a]! + extra[a]! + (kernel[a]! - 1) * dilations[a]! + 1 - pads[a]! - pads[a + 2]!);
    if (out.some((s) => s < 1)) continue;
    const [c, o] = [groups * pick(1, 9), groups * pick(1, 9)];
    const x = randomTensor([pick(1, 3), c, ...size], next);
    const weights = randomTensor([c, o / groups, ...kernel], next);
    const bias = pick(0, 1) ? randomTensor([o], next) : undefined;
    const dims = [x.dims[0]!, o, ...out];
    const geometry: Geometry = { groups, strides, dilations, pads };
    const attributes = { ...attributesOf(geometry), output_padding: extra };
    const constant = [false, pick(0, 1) > 0, true];
    const actual = runKernel(convTranspose, { attributes, inputs: [x, weights, bias], dims, constant });
    const off = error(actual, transposedConvolution(x, weights, bias, geometry, dims));
    expect(off, JSON.stringify({ x: x.dims, weights: weights.dims, attributes })).toBeLessThan(2e-6);
  }
});
