import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Tensor } from "../../src/graph/types.ts";
import { f32, ints, iota, list, run, runAll } from "./run.ts";

// Operators against their definitions, written the slow way.

const size = fc.integer({ min: 1, max: 4 });
const shape = (min: number, max: number): fc.Arbitrary<number[]> => fc.array(size, { minLength: min, maxLength: max });

/** Small whole numbers: every sum and product is exact in float32. */
const tensor = (dims: readonly number[]): fc.Arbitrary<Tensor> => {
  const n = dims.reduce((a, b) => a * b, 1);
  return fc.array(fc.integer({ min: -9, max: 9 }), { minLength: n, maxLength: n }).map((v) => f32(dims, v));
};

/** All positions of a shape, row-major. */
function positions(dims: readonly number[]): number[][] {
  return dims.reduce<number[][]>((all, d) => all.flatMap((p) => Array.from({ length: d }, (_, i) => [...p, i])), [[]]);
}

/** The element at a position; 0 outside. */
function at(x: Tensor, position: readonly number[]): number {
  if (position.some((p, a) => p < 0 || p >= x.dims[a]!)) return 0;
  return Number(x.data[position.reduce((flat, p, a) => flat * x.dims[a]! + p, 0)]);
}

test("broadcasting repeats axes of size 1 and missing leading axes", () => {
  const pair = shape(0, 4).chain((dims) =>
    fc.tuple(
      fc.constant(dims),
      fc.array(fc.boolean(), { minLength: dims.length, maxLength: dims.length }),
      fc.integer({ min: 0, max: dims.length }),
    ),
  );
  fc.assert(
    fc.property(pair, ([dims, flat, drop]) => {
      const small = dims.map((d, a) => (flat[a] ? 1 : d)).slice(drop);
      const [a, b] = [iota(dims), iota(small)];
      const y = run("Sub", {}, a, b);
      expect(y.dims).toEqual(dims);
      const expected = positions(dims).map(
        (p) =>
          at(a, p) -
          at(
            b,
            p.slice(drop).map((i, axis) => (small[axis] === 1 ? 0 : i)),
          ),
      );
      expect(list(y)).toEqual(expected);
      expect(list(run("Sub", {}, b, a))).toEqual(expected.map((v) => 0 - v));
    }),
  );
});

test("Slice takes what a loop from start to end takes", () => {
  const problem = fc.record({
    n: fc.integer({ min: 0, max: 9 }),
    start: fc.integer({ min: -12, max: 12 }),
    end: fc.integer({ min: -12, max: 12 }),
    step: fc.integer({ min: -4, max: 4 }).filter((s) => s !== 0),
  });
  fc.assert(
    fc.property(problem, ({ n, start, end, step }) => {
      const x = iota([2, n]);
      const [from, to] = [start, end].map((i) => (i < 0 ? i + n : i)) as [number, number];
      const taken: number[] = [];
      const first = step > 0 ? Math.max(from, 0) : Math.min(from, n - 1);
      for (let i = first; step > 0 ? i < Math.min(to, n) : i > Math.max(to, -1); i += step) taken.push(i);
      const y = run("Slice", {}, x, ints(start), ints(end), ints(-1), ints(step));
      expect(y.dims).toEqual([2, taken.length]);
      expect(list(y)).toEqual([0, 1].flatMap((row) => taken.map((i) => row * n + i)));
    }),
    { numRuns: 300 },
  );
});

test("Split and Concat undo each other along every axis", () => {
  fc.assert(
    fc.property(shape(1, 4), fc.nat(3), fc.nat(4), (dims, pick, cut) => {
      const axis = pick % dims.length;
      const first = Math.min(cut, dims[axis]!);
      const x = iota(dims);
      const parts = runAll("Split", { axis: axis - dims.length }, [x, ints(first, dims[axis]! - first)], 2);
      expect(run("Concat", { axis }, ...parts)).toEqual(x);
    }),
  );
});

test("Transpose moves position p to p permuted, and its inverse moves it back", () => {
  const problem = shape(1, 4).chain((dims) =>
    fc.tuple(
      fc.constant(dims),
      fc.shuffledSubarray(
        dims.map((_, a) => a),
        { minLength: dims.length },
      ),
    ),
  );
  fc.assert(
    fc.property(problem, ([dims, perm]) => {
      const x = iota(dims);
      const y = run("Transpose", { perm }, x);
      expect(list(y)).toEqual(
        positions(y.dims).map((p) =>
          at(
            x,
            perm.map((_, a) => p[perm.indexOf(a)]!),
          ),
        ),
      );
      expect(run("Transpose", { perm: perm.map((_, a) => perm.indexOf(a)) }, y)).toEqual(x);
    }),
  );
});

test("SpaceToDepth and DepthToSpace undo each other", () => {
  fc.assert(
    fc.property(size, size, size, size, fc.integer({ min: 1, max: 3 }), (n, c, h, w, blocksize) => {
      const x = iota([n, c, h * blocksize, w * blocksize]);
      expect(run("DepthToSpace", { blocksize }, run("SpaceToDepth", { blocksize }, x))).toEqual(x);
    }),
  );
});

test("Pad shows the input inside and its rule outside", () => {
  const rules: Record<string, (i: number, n: number) => number> = {
    edge: (i, n) => Math.min(Math.max(i, 0), n - 1),
    wrap: (i, n) => ((i % n) + n) % n,
    reflect(i, n) {
      for (;;) {
        if (i < 0) i = -i;
        else if (i >= n && n > 1) i = 2 * (n - 1) - i;
        else return Math.min(i, n - 1);
      }
    },
  };
  const problem = fc.record({
    n: fc.integer({ min: 1, max: 5 }),
    before: fc.integer({ min: -2, max: 4 }),
    after: fc.integer({ min: -2, max: 4 }),
    mode: fc.constantFrom("constant", ...Object.keys(rules)),
  });
  fc.assert(
    fc.property(problem, ({ n, before, after, mode }) => {
      fc.pre(n + before + after >= 0);
      const x = iota([2, n]);
      const y = run("Pad", { mode }, x, ints(before, after), f32([], [7]), ints(1));
      const row = (r: number): number[] =>
        Array.from({ length: n + before + after }, (_, j) => {
          const i = j - before;
          return i >= 0 && i < n ? r * n + i : mode === "constant" ? 7 : r * n + rules[mode]!(i, n);
        });
      expect(y.dims).toEqual([2, n + before + after]);
      expect(list(y)).toEqual([...row(0), ...row(1)]);
    }),
    { numRuns: 300 },
  );
});

interface ConvProblem {
  readonly x: Tensor;
  readonly w: Tensor;
  readonly attributes: { strides: number[]; dilations: number[]; pads: number[]; group: number };
}

const convolution = (rank: number): fc.Arbitrary<ConvProblem> => {
  const spatial = (lo: number, hi: number): fc.Arbitrary<number[]> =>
    fc.array(fc.integer({ min: lo, max: hi }), { minLength: rank, maxLength: rank });
  return fc
    .record({
      n: fc.integer({ min: 1, max: 2 }),
      group: fc.integer({ min: 1, max: 2 }),
      inner: fc.integer({ min: 1, max: 2 }),
      outer: fc.integer({ min: 1, max: 2 }),
      sizes: spatial(3, 5),
      kernel: spatial(1, 3),
      strides: spatial(1, 2),
      dilations: spatial(1, 2),
      pads: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 2 * rank, maxLength: 2 * rank }),
    })
    .filter(({ sizes, kernel, dilations, pads }) =>
      sizes.every((s, a) => s + pads[a]! + pads[a + rank]! >= (kernel[a]! - 1) * dilations[a]! + 1),
    )
    .chain(({ n, group, inner, outer, sizes, kernel, strides, dilations, pads }) =>
      fc.record({
        x: tensor([n, group * inner, ...sizes]),
        w: tensor([group * outer, inner, ...kernel]),
        attributes: fc.constant({ strides, dilations, pads, group }),
      }),
    );
};

/** Σ x[n, c, o · stride + k · dilation − pad] · w[m, c, k] */
function naiveConv({ x, w, attributes }: ConvProblem, out: readonly number[]): number[] {
  const { strides, dilations, pads, group } = attributes;
  return positions(out).map(([n, m, ...o]) => {
    const first = Math.floor(m! / (w.dims[0]! / group)) * w.dims[1]!;
    return positions(w.dims.slice(1)).reduce((sum, [c, ...k]) => {
      const where = k.map((tap, a) => o[a]! * strides[a]! + tap * dilations[a]! - pads[a]!);
      return sum + at(x, [n!, first + c!, ...where]) * at(w, [m!, c!, ...k]);
    }, 0);
  });
}

describe.each([1, 2, 3])("convolution of rank %i", (rank) => {
  test("Conv is its sum", () => {
    fc.assert(
      fc.property(convolution(rank), (problem) => {
        const y = run("Conv", problem.attributes, problem.x, problem.w);
        expect(list(y)).toEqual(naiveConv(problem, y.dims));
      }),
      { numRuns: 60 },
    );
  });

  test("ConvTranspose is the adjoint of Conv: ⟨Conv(x), y⟩ = ⟨x, ConvTranspose(y)⟩", () => {
    fc.assert(
      fc.property(convolution(rank), fc.infiniteStream(fc.integer({ min: -9, max: 9 })), ({ x, w, attributes }, numbers) => {
        const forward = run("Conv", attributes, x, w);
        const y = f32(
          forward.dims,
          list(forward).map(() => numbers.next().value as number),
        );
        // Rows that no window reached come back by output_padding.
        const output_padding = x.dims.slice(2).map((s, a) => {
          const extent = (w.dims[a + 2]! - 1) * attributes.dilations[a]! + 1;
          return (s + attributes.pads[a]! + attributes.pads[a + rank]! - extent) % attributes.strides[a]!;
        });
        const back = run("ConvTranspose", { ...attributes, output_padding }, y, w);
        expect(back.dims).toEqual(x.dims);
        const dot = (a: Tensor, b: Tensor): number => list(a).reduce((sum, v, i) => sum + v * Number(b.data[i]), 0);
        expect(dot(forward, y)).toBe(dot(x, back));
      }),
      { numRuns: 60 },
    );
  });
});

describe("pools", () => {
  const problem = convolution(2).filter(
    // Padding of a whole window or more leaves windows without any input.
    ({ w, attributes }) => attributes.pads.every((p, i) => p < w.dims[2 + (i % 2)]!) && attributes.dilations.every((d) => d === 1),
  );

  test("MaxPool is the largest of each window, and its index is where that is", () => {
    fc.assert(
      fc.property(problem, fc.boolean(), ({ x, w, attributes }, ceil) => {
        const { group: _, ...rest } = attributes;
        const kernel_shape = w.dims.slice(2);
        const [y, index] = runAll("MaxPool", { ...rest, kernel_shape, ceil_mode: Number(ceil) }, [x], 2) as [Tensor, Tensor];
        const expected = positions(y.dims).map(([n, c, ...o]) => {
          const inside = positions(kernel_shape)
            .map((k) => k.map((tap, a) => o[a]! * rest.strides[a]! + tap - rest.pads[a]!))
            .filter((p) => p.every((i, a) => i >= 0 && i < x.dims[a + 2]!));
          return Math.max(...inside.map((p) => at(x, [n!, c!, ...p])));
        });
        expect(list(y)).toEqual(expected);
        expect(list(index).map((i) => x.data[i])).toEqual(expected);
      }),
    );
  });

  test("AveragePool of ones is one, and with count_include_pad what share of the window is input", () => {
    fc.assert(
      fc.property(problem, ({ x, w, attributes }) => {
        const { group: _, ...rest } = attributes;
        const kernel_shape = w.dims.slice(2);
        const one = f32(
          x.dims,
          list(x).map(() => 1),
        );
        expect(list(run("AveragePool", { ...rest, kernel_shape }, one)).every((v) => v === 1)).toBe(true);
        const y = run("AveragePool", { ...rest, kernel_shape, count_include_pad: 1 }, one);
        const taps = kernel_shape.reduce((a, b) => a * b, 1);
        const share = positions(y.dims).map(([n, c, ...o]) => {
          const inside = positions(kernel_shape).map((k) =>
            at(one, [n!, c!, ...k.map((tap, a) => o[a]! * rest.strides[a]! + tap - rest.pads[a]!)]),
          );
          return Math.fround(inside.reduce((a, b) => a + b, 0) / taps);
        });
        expect(list(y)).toEqual(share);
      }),
    );
  });
});

describe("Resize", () => {
  const scales = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }));

  test("by whole numbers, nearest and asymmetric, repeats rows and columns", () => {
    fc.assert(
      fc.property(shape(2, 2), scales, (dims, by) => {
        const x = iota(dims);
        const y = run("Resize", { coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" }, x, undefined, f32([2], by));
        expect(list(y)).toEqual(positions(y.dims).map(([i, j]) => at(x, [Math.floor(i! / by[0]), Math.floor(j! / by[1])])));
      }),
    );
  });

  test("linear with aligned corners keeps a plane a plane", () => {
    fc.assert(
      fc.property(size, size, size, size, (h, w, oh, ow) => {
        const plane = f32(
          [h + 1, w + 1],
          positions([h + 1, w + 1]).map(([i, j]) => 3 * (i! / h) - 2 * (j! / w)),
        );
        const y = run(
          "Resize",
          { mode: "linear", coordinate_transformation_mode: "align_corners" },
          plane,
          undefined,
          undefined,
          ints(oh + 1, ow + 1),
        );
        for (const [k, [i, j]] of positions(y.dims).entries()) expect(y.data[k]).toBeCloseTo(3 * (i! / oh) - 2 * (j! / ow), 5);
      }),
    );
  });

  test("to the same size is the identity in every mode", () => {
    for (const mode of ["nearest", "linear"])
      for (const coordinate_transformation_mode of [
        "half_pixel",
        "pytorch_half_pixel",
        "align_corners",
        "asymmetric",
        "half_pixel_symmetric",
      ]) {
        const x = iota([1, 2, 3, 5]);
        expect(run("Resize", { mode, coordinate_transformation_mode }, x, undefined, undefined, ints(1, 2, 3, 5))).toEqual(x);
      }
  });
});

test("reductions gather exactly the elements whose kept position is the same", () => {
  const problem = shape(1, 4).chain((dims) =>
    fc.tuple(
      tensor(dims),
      fc.subarray(
        dims.map((_, a) => a),
        { minLength: 1 },
      ),
      fc.boolean(),
    ),
  );
  fc.assert(
    fc.property(problem, ([x, axes, keep]) => {
      const groups = new Map<string, number[]>();
      for (const p of positions(x.dims)) {
        const key = p.filter((_, a) => !axes.includes(a)).join();
        groups.set(key, [...(groups.get(key) ?? []), at(x, p)]);
      }
      const lists = [...groups.values()];
      const sum = run("ReduceSum", { keepdims: Number(keep) }, x, ints(...axes.map((a) => a - x.dims.length)));
      expect(list(sum)).toEqual(lists.map((g) => g.reduce((a, b) => a + b, 0)));
      expect(sum.dims).toEqual(keep ? x.dims.map((d, a) => (axes.includes(a) ? 1 : d)) : x.dims.filter((_, a) => !axes.includes(a)));
      expect(list(run("ReduceMax", {}, x, ints(...axes)))).toEqual(lists.map((g) => Math.max(...g)));
    }),
  );
});

test("MatMul of batches is the matrix product of each pair", () => {
  fc.assert(
    fc.property(shape(0, 2), size, size, size, fc.boolean(), (batch, m, k, n, shared) => {
      const [a, b] = [iota([...batch, m, k]), iota(shared ? [k, n] : [...batch, k, n])];
      const y = run("MatMul", {}, a, b);
      expect(list(y)).toEqual(
        positions([...batch, m, n]).map((p) => {
          const [lead, i, j] = [p.slice(0, -2), p.at(-2)!, p.at(-1)!];
          let sum = 0;
          for (let q = 0; q < k; q++) sum += at(a, [...lead, i, q]) * at(b, shared ? [q, j] : [...lead, q, j]);
          return Math.fround(sum);
        }),
      );
    }),
  );
});
