import { describe, expect, test } from "vitest";
import { HalftoneError } from "../../src/errors.ts";
import type { Attribute, DType, Fact, Tensor } from "../../src/graph/types.ts";
import { operators } from "../../src/ops/registry.ts";
import { f32, ints, iota, list, nodeOf, run, runAll } from "./run.ts";

describe("NaN", () => {
  const x = f32([3], [NaN, -1, 2]);

  test("is the answer wherever an operand is NaN", () => {
    for (const [op, other] of [
      ["Min", 0],
      ["Max", 0],
      ["Add", 1],
      ["Mul", 0],
      ["Sub", 1],
      ["Div", 1],
      ["Pow", 3],
    ] as const) {
      expect(list(run(op, {}, x, f32([], [other])))[0], op).toBeNaN();
      expect(list(run(op, {}, f32([], [other]), x))[0], op).toBeNaN();
    }
    for (const op of [
      "Relu",
      "Clip",
      "LeakyRelu",
      "Elu",
      "HardSwish",
      "HardSigmoid",
      "Sigmoid",
      "Tanh",
      "Erf",
      "Exp",
      "Log",
      "Sqrt",
      "Gelu",
      "Mish",
      "Softplus",
      "Round",
      "Floor",
      "Sign",
      "Abs",
      "Neg",
      "Reciprocal",
      "Swish",
    ])
      expect(list(run(op, {}, x))[0], op).toBeNaN();
    expect(list(run("Clip", {}, x, f32([], [0]), f32([], [1])))).toEqual([NaN, 0, 1]);
    expect(list(run("ReduceMax", {}, x))).toEqual([NaN]);
    expect(list(run("ReduceMean", {}, x))).toEqual([NaN]);
    expect(list(run("Softmax", {}, x))).toEqual([NaN, NaN, NaN]);
  });

  test("wins a MaxPool and an ArgMax, and equals nothing", () => {
    const plane = f32([1, 1, 3], [1, NaN, 2]);
    expect(list(run("MaxPool", { kernel_shape: [3] }, plane))).toEqual([NaN]);
    expect(list(run("GlobalMaxPool", {}, plane))).toEqual([NaN]);
    expect(list(run("ArgMax", { axis: -1 }, plane))).toEqual([1]);
    expect(list(run("Equal", {}, x, x))).toEqual([0, 1, 1]);
    expect(list(run("Less", {}, x, f32([], [0])))).toEqual([0, 1, 0]);
  });

  test("is true as a boolean and 0 as an integer", () => {
    expect(list(run("Cast", { to: 9 }, x))).toEqual([1, 1, 1]);
    expect(list(run("Cast", { to: 7 }, x))).toEqual([0, -1, 2]);
  });
});

describe("infinity", () => {
  test("is what the limit says", () => {
    const x = f32([2], [-Infinity, Infinity]);
    const limits: Record<string, number[]> = {
      Sigmoid: [0, 1],
      Tanh: [-1, 1],
      Erf: [-1, 1],
      Exp: [0, Infinity],
      Softplus: [0, Infinity],
      Gelu: [-0, Infinity],
      Relu: [0, Infinity],
      Elu: [-1, Infinity],
      HardSigmoid: [0, 1],
      Reciprocal: [-0, 0],
    };
    for (const [op, y] of Object.entries(limits)) expect(list(run(op, {}, x)), op).toEqual(y);
    expect(list(run("Gelu", { approximate: "tanh" }, x))).toEqual([-0, Infinity]);
  });

  test("saturates no softmax but its own", () => {
    expect(list(run("Softmax", {}, f32([3], [-Infinity, 0, 0])))).toEqual([0, 0.5, 0.5]);
    expect(list(run("LogSoftmax", {}, f32([2], [-Infinity, 0])))).toEqual([-Infinity, 0]);
    expect(list(run("ReduceLogSumExp", {}, f32([2], [1000, 1000])))[0]).toBeCloseTo(1000 + Math.LN2, 3);
  });
});

describe("a size of 0", () => {
  const empty = f32([0, 3], []);
  const cases: readonly [op: string, attributes: Record<string, Attribute>, inputs: (Tensor | undefined)[], dims: number[]][] = [
    ["Add", {}, [empty, f32([1, 3], [1, 2, 3])], [0, 3]],
    ["Relu", {}, [empty], [0, 3]],
    ["Transpose", {}, [empty], [3, 0]],
    ["Concat", { axis: 0 }, [empty, iota([2, 3])], [2, 3]],
    ["Reshape", { allowzero: 1 }, [empty, ints(3, 0)], [3, 0]],
    ["Reshape", {}, [empty, ints(-1, 3)], [0, 3]],
    ["Slice", {}, [iota([2, 3]), ints(5), ints(9)], [0, 3]],
    ["Gather", {}, [iota([2, 3]), ints()], [0, 3]],
    ["Expand", {}, [f32([1, 3], [1, 2, 3]), ints(0, 1)], [0, 3]],
    ["Tile", {}, [iota([2, 3]), ints(0, 1)], [0, 3]],
    ["Pad", {}, [empty, ints(1, 0, 0, 0)], [1, 3]],
    ["MatMul", {}, [empty, iota([3, 2])], [0, 2]],
    ["MatMul", {}, [f32([2, 0], []), f32([0, 2], [])], [2, 2]],
    ["Gemm", {}, [empty, iota([3, 2])], [0, 2]],
    ["Softmax", {}, [empty], [0, 3]],
    ["LayerNormalization", {}, [empty, f32([3], [1, 1, 1])], [0, 3]],
    ["ReduceSum", {}, [empty, ints(0)], [1, 3]],
    ["ReduceSum", { keepdims: 0 }, [empty, ints(1)], [0]],
    ["Conv", {}, [f32([0, 1, 3, 3], []), iota([2, 1, 3, 3])], [0, 2, 1, 1]],
    ["MaxPool", { kernel_shape: [2, 2] }, [f32([0, 1, 3, 3], [])], [0, 1, 2, 2]],
    ["GlobalAveragePool", {}, [f32([0, 2, 3, 3], [])], [0, 2, 1, 1]],
    ["BatchNormalization", {}, [f32([0, 1, 2], []), ...Array.from({ length: 4 }, () => f32([1], [1]))], [0, 1, 2]],
    ["Where", {}, [{ dtype: "bool", dims: [0, 1], data: new Uint8Array(0) }, f32([3], [1, 2, 3]), f32([], [0])], [0, 3]],
    ["ConstantOfShape", {}, [ints(0, 3)], [0, 3]],
    ["Range", {}, [f32([], [3]), f32([], [3]), f32([], [1])], [0]],
    ["Cast", { to: 7 }, [empty], [0, 3]],
    ["Unsqueeze", {}, [empty, ints(0)], [1, 0, 3]],
    ["Squeeze", {}, [f32([1, 0], []), ints(0)], [0]],
    ["Flatten", {}, [empty], [0, 3]],
    ["QuantizeLinear", {}, [empty, f32([], [1])], [0, 3]],
  ];

  test.for(cases)("%s", ([op, attributes, inputs, dims]) => {
    const y = run(op, attributes, ...inputs);
    expect(y.dims).toEqual(dims);
    expect(y.data.length).toBe(dims.reduce((a, b) => a * b, 1));
  });

  test("sums to 0, multiplies to 1, and has the neutral elements of max and min", () => {
    const over = (op: string): number[] => list(run(op, {}, empty, ints(0)));
    expect(over("ReduceSum")).toEqual([0, 0, 0]);
    expect(over("ReduceProd")).toEqual([1, 1, 1]);
    expect(over("ReduceMax")).toEqual([-Infinity, -Infinity, -Infinity]);
    expect(over("ReduceMin")).toEqual([Infinity, Infinity, Infinity]);
    expect(list(run("MatMul", {}, f32([2, 0], []), f32([0, 2], [])))).toEqual([0, 0, 0, 0]);
  });
});

describe("a scalar", () => {
  const two = f32([], [2]);
  const cases: readonly [
    op: string,
    attributes: Record<string, Attribute>,
    inputs: (Tensor | undefined)[],
    dims: number[],
    values: number[],
  ][] = [
    ["Add", {}, [two, two], [], [4]],
    ["Sqrt", {}, [f32([], [4])], [], [2]],
    ["Transpose", {}, [two], [], [2]],
    ["Reshape", {}, [two, ints(1, 1)], [1, 1], [2]],
    ["Reshape", {}, [f32([1, 1], [2]), ints()], [], [2]],
    ["Flatten", { axis: 0 }, [two], [1, 1], [2]],
    ["Unsqueeze", {}, [two, ints(0, 1)], [1, 1], [2]],
    ["Squeeze", {}, [f32([1, 1], [2])], [], [2]],
    ["Expand", {}, [two, ints(2, 2)], [2, 2], [2, 2, 2, 2]],
    ["Tile", {}, [two, ints()], [], [2]],
    ["ReduceSum", {}, [two], [], [2]],
    ["ReduceMean", { keepdims: 0 }, [f32([2], [1, 3])], [], [2]],
    ["Softmax", {}, [two], [], [1]],
    ["Shape", {}, [two], [0], []],
    ["Size", {}, [two], [], [1]],
    ["Gather", {}, [f32([2], [5, 7]), { dtype: "int64", dims: [], data: BigInt64Array.of(-1n) }], [], [7]],
    ["ConstantOfShape", {}, [ints()], [], [0]],
    ["MatMul", {}, [f32([2], [1, 2]), f32([2], [3, 4])], [], [11]],
    ["Clip", {}, [two, f32([], [3]), undefined], [], [3]],
    ["QuantizeLinear", {}, [f32([], [3]), two], [], [2]],
  ];

  test.for(cases)("%s", ([op, attributes, inputs, dims, values]) => {
    const y = run(op, attributes, ...inputs);
    expect(y.dims).toEqual(dims);
    expect(list(y)).toEqual(values);
  });
});

test("negative axes count from the end everywhere", () => {
  const x = iota([2, 3, 4]);
  const pairs: readonly [op: string, of: (axis: number) => [Record<string, Attribute>, ...(Tensor | undefined)[]]][] = [
    ["Concat", (axis) => [{ axis }, x, x]],
    ["Softmax", (axis) => [{ axis }, x]],
    ["LogSoftmax", (axis) => [{ axis }, x]],
    ["Gather", (axis) => [{ axis }, x, ints(1, 0)]],
    ["GatherElements", (axis) => [{ axis }, x, { dtype: "int64", dims: [1, 1, 1], data: BigInt64Array.of(-1n) }]],
    ["ReduceMean", (axis) => [{}, x, ints(axis)]],
    ["ArgMax", (axis) => [{ axis }, x]],
    ["ArgMin", (axis) => [{ axis }, x]],
    ["Slice", (axis) => [{}, x, ints(1), ints(2), ints(axis)]],
    ["Pad", (axis) => [{}, x, ints(1, 1), undefined, ints(axis)]],
    ["Flatten", (axis) => [{ axis }, x]],
    ["Split", (axis) => [{ axis, num_outputs: 1 }, x]],
    ["Resize", (axis) => [{ axes: [axis] }, x, undefined, f32([1], [2])]],
    ["QuantizeLinear", (axis) => [{ axis }, x, f32([x.dims.at(axis)!], [1, 2, 3, 4].slice(0, x.dims.at(axis)!))]],
    ["LayerNormalization", (axis) => [{ axis }, x, f32([1], [2])]],
  ];
  for (const [op, of] of pairs)
    for (const axis of [0, 1, 2]) {
      const [attributes, ...inputs] = of(axis);
      const [negative, ...others] = of(axis - 3);
      expect(run(op, negative, ...others), `${op} along ${axis}`).toEqual(run(op, attributes, ...inputs));
    }
  const unit = f32([1, 2, 1], [1, 2]);
  expect(run("Squeeze", {}, unit, ints(-1)).dims).toEqual([1, 2]);
  expect(run("Unsqueeze", {}, f32([2], [1, 2]), ints(-1, 0)).dims).toEqual([1, 2, 1]);
});

describe("integers", () => {
  const of = (dtype: DType, ...values: bigint[]): Tensor =>
    run(
      "Cast",
      { to: ({ int8: 3, uint8: 2, int32: 6, uint32: 12, int64: 7, uint64: 13, int4: 22, uint2: 25 } as Record<string, number>)[dtype]! },
      {
        dtype: "int64",
        dims: [values.length],
        data: BigInt64Array.from(values),
      },
    );

  test("wrap as two's complement hardware does", () => {
    expect(list(run("Add", {}, of("int8", 127n), of("int8", 1n)))).toEqual([-128]);
    expect(list(run("Mul", {}, of("int32", 65536n), of("int32", 65536n)))).toEqual([0]);
    expect(list(run("Sub", {}, of("uint8", 0n), of("uint8", 1n)))).toEqual([255]);
    expect(run("Add", {}, of("int64", 2n ** 63n - 1n), of("int64", 1n)).data).toEqual(BigInt64Array.of(-(2n ** 63n)));
    expect(run("Mul", {}, of("int64", 3037000500n), of("int64", 3037000500n)).data).toEqual(
      BigInt64Array.of(BigInt.asIntN(64, 3037000500n ** 2n)),
    );
    expect(list(run("Neg", {}, of("int4", -8n)))).toEqual([-8]);
    expect(list(run("Add", {}, of("uint2", 3n), of("uint2", 2n)))).toEqual([1]);
  });

  test("divide towards zero, and by zero give 0", () => {
    expect(list(run("Div", {}, ints(7, -7, 7, -7, 5), ints(2, 2, -2, -2, 0)))).toEqual([3, -3, -3, 3, 0]);
    expect(list(run("Mod", {}, ints(7, -7, 7, -7, 5), ints(3, 3, -3, -3, 0)))).toEqual([1, 2, -2, -1, 0]);
    expect(list(run("Mod", { fmod: 1 }, ints(7, -7, 7, -7), ints(3, 3, -3, -3)))).toEqual([1, -1, 1, -1]);
  });

  test("keep 64 bits", () => {
    const big = 2n ** 62n + 1n;
    expect(run("Max", {}, of("int64", big), of("int64", big - 1n)).data).toEqual(BigInt64Array.of(big));
    expect(run("ReduceSum", {}, of("int64", big, -1n)).data).toEqual(BigInt64Array.of(big - 1n));
    expect(list(run("Equal", {}, of("int64", big), of("int64", big - 1n)))).toEqual([0]);
  });
});

describe("what cannot fit is told by the node's name", () => {
  const fact = (dims: readonly (number | string)[], dtype: DType = "float32"): Fact => ({ dtype, dims });
  const cases: readonly [op: string, attributes: Record<string, Attribute>, inputs: (Fact | undefined)[]][] = [
    ["Add", {}, [fact([2, 3]), fact([2, 4])]],
    ["Add", {}, [fact([2]), fact([2], "int64")]],
    ["Conv", {}, [fact(["N", 3, 8, 8]), fact([4, 2, 3, 3])]],
    ["Conv", { group: 2 }, [fact(["N", 4, 8, 8]), fact([3, 2, 3, 3])]],
    ["Conv", { group: 0.5 }, [fact(["N", 1, 8, 8]), fact([3, 2, 3, 3])]],
    ["Conv", {}, [fact(["N", 3, 2, 2]), fact([4, 3, 3, 3])]],
    ["Conv", {}, [fact(["N", 3, 8, 8]), fact([4, 3, 3, 3]), fact([5])]],
    ["Conv", { strides: [0, 1] }, [fact(["N", 3, 8, 8]), fact([4, 3, 3, 3])]],
    ["ConvTranspose", {}, [fact(["N", 3, 8, 8]), fact([4, 2, 3, 3])]],
    ["MatMul", {}, [fact([2, 3]), fact([4, 2])]],
    ["Gemm", {}, [fact([2, 3]), fact([3, 2]), fact([3])]],
    ["Gemm", {}, [fact([2, 3, 1]), fact([3, 2])]],
    ["Reshape", {}, [fact([2, 3]), { ...fact([1], "int64"), constant: ints(4) }]],
    ["Reshape", {}, [fact([2, 3]), { ...fact([2], "int64"), constant: ints(-1, 4) }]],
    ["Reshape", {}, [fact([2, 3]), { ...fact([2], "int64"), constant: ints(-1, -1) }]],
    ["Reshape", {}, [fact([2, 3]), fact([2])]],
    ["Concat", { axis: 1 }, [fact([2, 3]), fact([4, 3])]],
    ["Concat", { axis: 2 }, [fact([2, 3]), fact([2, 3])]],
    ["Concat", { axis: 0.5 }, [fact([2, 3]), fact([2, 3])]],
    ["Transpose", { perm: [0, 0] }, [fact([2, 3])]],
    ["Squeeze", {}, [fact([2, 3]), { ...fact([1], "int64"), constant: ints(0) }]],
    ["Softmax", { axis: 4 }, [fact([2, 3])]],
    ["MaxPool", { kernel_shape: [2] }, [fact([1, 1, 4, 4])]],
    ["MaxPool", {}, [fact([1, 1, 4, 4])]],
    ["BatchNormalization", {}, [fact([1, 3, 4]), fact([4]), fact([3]), fact([3]), fact([3])]],
    ["DepthToSpace", { blocksize: 2 }, [fact([1, 3, 4, 4])]],
    ["Split", {}, [fact([5]), { ...fact([1], "int64"), constant: ints(4) }]],
    ["Pad", {}, [fact([2]), { ...fact([2], "int64"), constant: ints(-2, -1) }]],
    ["Exp", {}, [fact([2], "int32")]],
    ["And", {}, [fact([2]), fact([2])]],
    ["Where", {}, [fact([2]), fact([2]), fact([2])]],
    ["Clip", {}, [fact([2], "int32"), fact([])]],
    ["Cast", { to: 8 }, [fact([2])]],
    ["Cast", {}, [fact([2])]],
    ["Relu", {}, [undefined]],
  ];

  test.for(cases)("%s %j", ([op, attributes, inputs]) => {
    const node = nodeOf(op, attributes, inputs.length);
    expect(() => operators.get(op)!.infer(node, inputs)).toThrow(HalftoneError);
    expect(() => operators.get(op)!.infer(node, inputs)).toThrow(`${op} 'node'`);
  });
});

test("a mode that no table knows is refused by name", () => {
  for (const [attributes, inputs] of [
    [{ mode: "cubic" }, [iota([1, 1, 2, 2]), undefined, f32([4], [1, 1, 2, 2])]],
    [{ antialias: 1 }, [iota([1, 1, 2, 2]), undefined, f32([4], [1, 1, 2, 2])]],
    [{ coordinate_transformation_mode: "tf_crop_and_resize" }, [iota([1, 1, 2, 2]), undefined, f32([4], [1, 1, 2, 2])]],
  ] as const)
    expect(() => run("Resize", attributes as Record<string, Attribute>, ...inputs)).toThrow(HalftoneError);
  expect(() => run("Gelu", { approximate: "fast" }, iota([2]))).toThrow(HalftoneError);
  expect(() => run("Pad", { mode: "mirror" }, iota([2]), ints(1, 1))).toThrow(HalftoneError);
});

test("Dropout passes its input and masks nothing", () => {
  const [y, mask] = runAll("Dropout", {}, [iota([2, 2])], 2);
  expect(y).toEqual(iota([2, 2]));
  expect(list(mask!)).toEqual([1, 1, 1, 1]);
});
