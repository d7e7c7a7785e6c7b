import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { DType, Tensor } from "../../src/graph/types.ts";
import { allocate } from "../../src/graph/tensors.ts";
import { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from "../../src/onnx/half.ts";
import { StringStringEntryProtoSchema, type TensorProto, TensorProto_DataLocation, TensorProtoSchema } from "../../src/onnx/onnx_pb.ts";
import { readTensor, tensorOf, writeTensor } from "../../src/onnx/tensor.ts";

type Fields = Partial<Omit<TensorProto, "$typeName" | "$unknown">>;
const decode = (fields: Fields): Tensor => readTensor(toBinary(TensorProtoSchema, create(TensorProtoSchema, fields as never)));

test.for<readonly [string, Fields, DType, ArrayLike<number | bigint>]>([
  ["float32 in floatData", { dataType: 1, dims: [2n], floatData: [1.5, -2] }, "float32", Float32Array.of(1.5, -2)],
  ["float32 raw", { dataType: 1, dims: [1n], rawData: Uint8Array.of(0, 0, 192, 63) }, "float32", Float32Array.of(1.5)],
  ["float64 in doubleData", { dataType: 11, dims: [1n], doubleData: [0.1] }, "float64", Float64Array.of(0.1)],
  ["int64 in int64Data", { dataType: 7, dims: [2n], int64Data: [-1n, 2n ** 62n] }, "int64", BigInt64Array.of(-1n, 2n ** 62n)],
  ["uint64 in uint64Data", { dataType: 13, dims: [1n], uint64Data: [2n ** 63n] }, "uint64", BigUint64Array.of(2n ** 63n)],
  ["uint32 in uint64Data", { dataType: 12, dims: [1n], uint64Data: [2n ** 32n - 1n] }, "uint32", Uint32Array.of(2 ** 32 - 1)],
  ["int8 in int32Data", { dataType: 3, dims: [2n], int32Data: [-128, 127] }, "int8", Int8Array.of(-128, 127)],
  ["bool in int32Data", { dataType: 9, dims: [2n], int32Data: [0, 1] }, "bool", Uint8Array.of(0, 1)],
  ["float16 bits in int32Data", { dataType: 10, dims: [2n], int32Data: [0x3e00, 0xc000] }, "float16", Float32Array.of(1.5, -2)],
  ["float16 raw", { dataType: 10, dims: [1n], rawData: Uint8Array.of(0, 0x3e) }, "float16", Float32Array.of(1.5)],
  ["bfloat16 raw", { dataType: 16, dims: [1n], rawData: Uint8Array.of(0xc0, 0x3f) }, "bfloat16", Float32Array.of(1.5)],
  ["int4 raw, low nibble first", { dataType: 22, dims: [3n], rawData: Uint8Array.of(0x8f, 0x07) }, "int4", Int8Array.of(-1, -8, 7)],
  ["uint4 in int32Data", { dataType: 21, dims: [3n], int32Data: [0x8f, 0x07] }, "uint4", Uint8Array.of(15, 8, 7)],
  [
    "int2 raw, low bits first",
    { dataType: 26, dims: [5n], rawData: Uint8Array.of(0b11_10_01_00, 0b10) },
    "int2",
    Int8Array.of(0, 1, -2, -1, -2),
  ],
  ["uint2 raw", { dataType: 25, dims: [4n], rawData: Uint8Array.of(0b11_10_01_00) }, "uint2", Uint8Array.of(0, 1, 2, 3)],
  ["a scalar", { dataType: 6, dims: [], int32Data: [7] }, "int32", Int32Array.of(7)],
  ["no elements", { dataType: 1, dims: [0n, 3n] }, "float32", new Float32Array(0)],
])("%s", ([, fields, dtype, data]) => {
  expect(decode(fields)).toEqual({ dtype, dims: fields.dims!.map(Number), data });
});

test.for<readonly [string, Fields, RegExp]>([
  ["too few bytes", { dataType: 1, dims: [2n], rawData: new Uint8Array(7) }, /7 bytes, expected 8 for float32 \[2\]/],
  ["too many entries", { dataType: 1, dims: [1n], floatData: [1, 2] }, /2 entries, expected 1/],
  ["no data", { dataType: 1, dims: [1n] }, /no data/],
  ["raw and typed data", { dataType: 1, dims: [1n], rawData: new Uint8Array(4), floatData: [1] }, /both/],
  ["another type's field", { dataType: 1, dims: [1n], int64Data: [1n] }, /int64Data/],
  ["an element outside of its type", { dataType: 3, dims: [1n], int32Data: [128] }, /element 128/],
  ["a boolean of 2", { dataType: 9, dims: [1n], rawData: Uint8Array.of(2) }, /above 1/],
  ["text", { dataType: 8, dims: [1n] }, /string/],
  ["an unknown type", { dataType: 77, dims: [1n] }, /type number 77/],
  ["a negative size", { dataType: 1, dims: [-1n] }, /size -1/],
  ["sizes that overflow", { dataType: 1, dims: [2n ** 40n, 2n ** 40n] }, /2\^31/],
])("%s: refused", ([, fields, message]) => {
  expect(() => decode(fields)).toThrow(message);
});

test("bytes that are no tensor are refused", () => {
  expect(() => readTensor(Uint8Array.of(0xff, 0xff, 0xff))).toThrow(/TensorProto/);
});

const entry = (key: string, value: string): never => create(StringStringEntryProtoSchema, { key, value }) as never;
const outside = (...entries: [string, string][]): TensorProto =>
  create(TensorProtoSchema, {
    dataType: 2,
    dims: [2n],
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: entries.map(([key, value]) => entry(key, value)),
  });
const files = (location: string): Uint8Array => (location === "weights.bin" ? Uint8Array.of(1, 2, 3, 4) : new Uint8Array(0));

test("external data come through the caller's resolver, and only so", () => {
  const proto = outside(["location", "weights.bin"], ["offset", "1"], ["length", "2"]);
  expect(tensorOf(proto, "constant 'w'", files).data).toEqual(Uint8Array.of(2, 3));
  expect(() => tensorOf(proto, "constant 'w'", undefined)).toThrow(/constant 'w'.*'weights.bin'/);
});

test.for<readonly [string, [string, string][], RegExp]>([
  [
    "a range beyond the file",
    [
      ["location", "weights.bin"],
      ["offset", "3"],
      ["length", "2"],
    ],
    /bytes 3…5 of 'weights.bin', expected a range within its 4 bytes/,
  ],
  [
    "an offset beyond the file",
    [
      ["location", "weights.bin"],
      ["offset", "9"],
    ],
    /within its 4 bytes/,
  ],
  [
    "a length that is no number",
    [
      ["location", "weights.bin"],
      ["length", "-1"],
    ],
    /length '-1'/,
  ],
  [
    "a length that does not fill the tensor",
    [
      ["location", "weights.bin"],
      ["length", "3"],
    ],
    /3 bytes, expected 2/,
  ],
  ["no location", [["offset", "1"]], /without a location/],
])("external data with %s: refused", ([, entries, message]) => {
  expect(() => tensorOf(outside(...entries), "constant 'w'", files)).toThrow(message);
});

test("float16: every bit pattern is read and written back", () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = float16ToNumber(bits);
    if (Number.isNaN(value)) expect((bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0).toBe(true);
    else if (numberToFloat16(value) !== bits) expect([bits, numberToFloat16(value)]).toEqual([bits, bits]);
  }
});

test("float16: written values are the nearest, ties to even", () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, min: -70_000, max: 70_000 }), (x) => {
      const bits = numberToFloat16(x);
      const error = Math.abs(float16ToNumber(bits) - x);
      if (Math.abs(x) >= 65_520) {
        expect(bits & 0x7fff).toBe(0x7c00);
        return;
      }
      for (const near of [bits - 1, bits + 1]) {
        const other = Math.abs(float16ToNumber(near & 0xffff) - x);
        if (Number.isFinite(other)) expect(error < other || (error === other && (bits & 1) === 0) || (near & 0x7fff) === 0x7fff).toBe(true);
      }
    }),
  );
});

test("bfloat16: every finite bit pattern is read and written back, ties go to even", () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = bfloat16ToNumber(bits);
    if (!Number.isNaN(value) && numberToBfloat16(value) !== bits) expect(numberToBfloat16(value)).toBe(bits);
  }
  expect(numberToBfloat16(1 + 2 ** -8)).toBe(0x3f80);
  expect(numberToBfloat16(1 + 3 * 2 ** -8)).toBe(0x3f82);
});

test.for<readonly [DType, readonly number[]]>([
  ["float32", [1.5, -2, 1e30]],
  ["float64", [0.1]],
  ["float16", [1.5, -2]],
  ["bfloat16", [1.5, -2]],
  ["int2", [-2, -1, 0, 1, 1]],
  ["uint2", [0, 1, 2, 3, 3]],
  ["int4", [-8, 7, -1]],
  ["uint4", [0, 15, 9]],
  ["int8", [-128, 127]],
  ["uint8", [0, 255]],
  ["int16", [-32768, 32767]],
  ["uint16", [0, 65535]],
  ["int32", [-(2 ** 31)]],
  ["uint32", [2 ** 32 - 1]],
  ["int64", [-5, 2 ** 40]],
  ["uint64", [2 ** 40]],
  ["bool", [0, 1, 1]],
])("%s: written and read back", ([dtype, values]) => {
  const data = allocate(dtype, values.length);
  values.forEach((value, i) => {
    data[i] = typeof data[0] === "bigint" ? BigInt(value) : value;
  });
  const tensor: Tensor = { dtype, dims: [values.length], data };
  expect(readTensor(writeTensor(tensor))).toEqual(tensor);
});
