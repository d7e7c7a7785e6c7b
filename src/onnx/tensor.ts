// TensorProto ⇄ Tensor: raw and typed fields, half floats, packed small integers, external files.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { HalftoneError } from "../errors.ts";
import { elementCount } from "../graph/dims.ts";
import { allocate, isBig } from "../graph/tensors.ts";
import type { DType, Tensor, TensorData } from "../graph/types.ts";
import { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from "./half.ts";
import { type TensorProto, TensorProto_DataLocation, TensorProtoSchema } from "./onnx_pb.ts";
import { minifloatCodes } from "./minifloat.ts";
import { dtypeOf, numberOf } from "./types.ts";

/** Gives the bytes of the file that a model names beside itself. */
export type ExternalResolver = (location: string) => Uint8Array;

interface Storage {
  /** Bits of one element in raw data; below 8, elements are packed from the lowest bits up. */
  readonly bits: number;
  /** The typed field that holds it, and how many elements one entry of that field packs. */
  readonly field: "floatData" | "int32Data" | "int64Data" | "doubleData" | "uint64Data";
  readonly perEntry: number;
  /** The stored bits of floats below 32 bits ⇄ their value. */
  readonly half?: { readonly read: (bits: number) => number; readonly write: (value: number) => number };
}

const float16 = { read: float16ToNumber, write: numberToFloat16 };
const bfloat16 = { read: bfloat16ToNumber, write: numberToBfloat16 };

/** How TensorProto stores each type. Source: onnx.proto, comments of TensorProto. */
const storage: Readonly<Record<Exclude<DType, "string">, Storage>> = {
  float32: { bits: 32, field: "floatData", perEntry: 1 },
  float64: { bits: 64, field: "doubleData", perEntry: 1 },
  float16: { bits: 16, field: "int32Data", perEntry: 1, half: float16 },
  bfloat16: { bits: 16, field: "int32Data", perEntry: 1, half: bfloat16 },
  float8e4m3fn: { bits: 8, field: "int32Data", perEntry: 1, half: minifloatCodes.get("float8e4m3fn") },
  float8e4m3fnuz: { bits: 8, field: "int32Data", perEntry: 1, half: minifloatCodes.get("float8e4m3fnuz") },
  float8e5m2: { bits: 8, field: "int32Data", perEntry: 1, half: minifloatCodes.get("float8e5m2") },
  float8e5m2fnuz: { bits: 8, field: "int32Data", perEntry: 1, half: minifloatCodes.get("float8e5m2fnuz") },
  float8e8m0: { bits: 8, field: "int32Data", perEntry: 1, half: minifloatCodes.get("float8e8m0") },
  float4e2m1: { bits: 4, field: "int32Data", perEntry: 2, half: minifloatCodes.get("float4e2m1") },
  int2: { bits: 2, field: "int32Data", perEntry: 4 },
  uint2: { bits: 2, field: "int32Data", perEntry: 4 },
  int4: { bits: 4, field: "int32Data", perEntry: 2 },
  uint4: { bits: 4, field: "int32Data", perEntry: 2 },
  int8: { bits: 8, field: "int32Data", perEntry: 1 },
  uint8: { bits: 8, field: "int32Data", perEntry: 1 },
  int16: { bits: 16, field: "int32Data", perEntry: 1 },
  uint16: { bits: 16, field: "int32Data", perEntry: 1 },
  int32: { bits: 32, field: "int32Data", perEntry: 1 },
  uint32: { bits: 32, field: "uint64Data", perEntry: 1 },
  int64: { bits: 64, field: "int64Data", perEntry: 1 },
  uint64: { bits: 64, field: "uint64Data", perEntry: 1 },
  bool: { bits: 8, field: "int32Data", perEntry: 1 },
};

const typedFields = ["floatData", "int32Data", "int64Data", "doubleData", "uint64Data"] as const;

function storageOf(dtype: DType): Storage {
  return storage[dtype as Exclude<DType, "string">];
}

function malformed(place: string, found: string, expected: string, hint?: string): HalftoneError {
  return new HalftoneError("ONNX_MALFORMED", place, found, expected, hint);
}

/** Reads one serialized TensorProto, as ONNX's conformance cases store their inputs and outputs. */
export function readTensor(bytes: Uint8Array): Tensor {
  try {
    return tensorOf(fromBinary(TensorProtoSchema, bytes), "tensor", undefined);
  } catch (error) {
    if (error instanceof HalftoneError) throw error;
    throw malformed("tensor", "bytes that are no TensorProto", "a serialized ONNX tensor");
  }
}

/** Sizes as safe numbers, none of them negative. */
export function sizesOf(dims: readonly bigint[], place: string): number[] {
  return dims.map((dim) => {
    if (dim < 0n) throw malformed(place, `the size ${dim}`, "sizes of 0 and more");
    return Number(dim);
  });
}

/**
 * The tensor that a TensorProto stands for, copied out of the file.
 *
 * @param place    for messages: "constant 'conv1.weight'"
 * @param external resolver of external files; without it they are refused
 * @throws HalftoneError ONNX_UNSUPPORTED_TYPE, SHAPE_OVERFLOW, ONNX_EXTERNAL_DATA, or ONNX_MALFORMED when the data do not fill the sizes exactly
 */
export function tensorOf(proto: TensorProto, place: string, external: ExternalResolver | undefined): Tensor {
  const dtype = dtypeOf(proto.dataType, place);
  const dims = sizesOf(proto.dims, place);
  const count = elementCount(dims, place);
  if (proto.segment) throw malformed(place, "a tensor in segments", "a whole tensor");
  const raw = proto.dataLocation === TensorProto_DataLocation.EXTERNAL ? externalBytes(proto, place, external) : proto.rawData;
  const { bits, field } = storageOf(dtype);
  const filled = typedFields.filter((name) => proto[name].length > 0);
  if (raw.length > 0 || (filled.length === 0 && count === 0)) {
    if (filled.length > 0) throw malformed(place, `both raw data and ${filled.join(", ")}`, "one of them");
    const bytes = Math.ceil((count * bits) / 8);
    if (raw.length !== bytes) throw malformed(place, `${raw.length} bytes`, `${bytes} for ${dtype} [${dims.join(", ")}]`);
    return { dtype, dims, data: checked(fromRaw(raw, dtype, count), dtype, place) };
  }
  if (filled.length !== 1 || filled[0] !== field) {
    throw malformed(place, filled.length === 0 ? "no data" : filled.join(", "), `${count} elements of ${dtype} in ${field} or raw data`);
  }
  return { dtype, dims, data: checked(fromTyped(proto[field], dtype, count, place), dtype, place) };
}

function fromRaw(raw: Uint8Array, dtype: DType, count: number): TensorData {
  const { bits, half } = storageOf(dtype);
  if (bits < 8) return unpacked(raw, dtype, count);
  // A copy starts at a multiple of 8 bytes, which a view into the file need not; slice() of a Node Buffer would not copy.
  // JavaScript engines are little-endian, as ONNX is.
  const { buffer } = new Uint8Array(raw);
  if (!half) return new (allocate(dtype, 0).constructor as new (buffer: ArrayBuffer) => TensorData)(buffer);
  return Float32Array.from(bits === 16 ? new Uint16Array(buffer) : new Uint8Array(buffer), half.read);
}

function unpacked(packed: ArrayLike<number>, dtype: DType, count: number): TensorData {
  const { bits, half } = storageOf(dtype);
  const data = allocate(dtype, count);
  const perByte = 8 / bits;
  const up = 32 - bits;
  const signed = data instanceof Int8Array;
  for (let i = 0; i < count; i++) {
    const high = (packed[Math.floor(i / perByte)]! >> (bits * (i % perByte))) << up;
    data[i] = signed ? high >> up : half ? half.read(high >>> up) : high >>> up;
  }
  return data;
}

function fromTyped(entries: readonly (number | bigint)[], dtype: DType, count: number, place: string): TensorData {
  const { bits, half, perEntry } = storageOf(dtype);
  const expected = Math.ceil(count / perEntry);
  if (entries.length !== expected) throw malformed(place, `${entries.length} entries`, `${expected} for ${count} elements of ${dtype}`);
  if (perEntry > 1) return unpacked(entries as readonly number[], dtype, count);
  const data = allocate(dtype, count);
  if (half) return Float32Array.from(entries as readonly number[], (entry) => half.read(entry & ((1 << bits) - 1)));
  if (isBig(data)) {
    entries.forEach((entry, i) => {
      data[i] = entry as bigint;
    });
    return data;
  }
  entries.forEach((entry, i) => {
    data[i] = Number(entry);
    if (!dtype.startsWith("float") && data[i] !== Number(entry)) throw malformed(place, `the element ${entry}`, `elements of ${dtype}`);
  });
  return data;
}

function checked(data: TensorData, dtype: DType, place: string): TensorData {
  if (dtype === "bool" && (data as Uint8Array).some((byte) => byte > 1)) throw malformed(place, "a byte above 1", "booleans of 0 and 1");
  return data;
}

function externalBytes(proto: TensorProto, place: string, external: ExternalResolver | undefined): Uint8Array {
  const entries = new Map(proto.externalData.map(({ key, value }) => [key, value]));
  const location = entries.get("location");
  if (!location) throw malformed(place, "external data without a location", "the name of a file");
  if (!external) {
    throw new HalftoneError(
      "ONNX_EXTERNAL_DATA",
      place,
      `data in the separate file '${location}'`,
      "data inside the model",
      "Pass a resolver for external files, or export the model as one file.",
    );
  }
  const file = external(location);
  const offset = sizeEntry(entries, "offset", 0, place);
  const length = sizeEntry(entries, "length", file.length - offset, place);
  if (offset + length > file.length || length < 0) {
    throw new HalftoneError(
      "ONNX_EXTERNAL_DATA",
      place,
      `bytes ${offset}…${offset + length} of '${location}'`,
      `a range within its ${file.length} bytes`,
      "The external file may be cut off or of another model.",
    );
  }
  return file.subarray(offset, offset + length);
}

function sizeEntry(entries: ReadonlyMap<string, string>, key: string, otherwise: number, place: string): number {
  const text = entries.get(key);
  if (text === undefined) return otherwise;
  if (!/^\d{1,15}$/.test(text)) throw malformed(place, `external data with ${key} '${text}'`, "a number of bytes");
  return Number(text);
}

/** The TensorProto of a tensor, with raw data. */
export function protoOf(name: string, tensor: Tensor): TensorProto {
  const { dtype, dims, data } = tensor;
  return create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType: numberOf(dtype), rawData: toRaw(data, dtype) });
}

/** Serialized TensorProto, the inverse of readTensor. */
export function writeTensor(tensor: Tensor, name = ""): Uint8Array {
  return toBinary(TensorProtoSchema, protoOf(name, tensor));
}

function toRaw(data: TensorData, dtype: DType): Uint8Array<ArrayBuffer> {
  const { bits, half } = storageOf(dtype);
  if (bits < 8) {
    const perByte = 8 / bits;
    const packed = new Uint8Array(Math.ceil(data.length / perByte));
    for (let i = 0; i < data.length; i++) {
      const code = half ? half.write(Number(data[i])) : Number(data[i]);
      packed[Math.floor(i / perByte)]! |= (code & ((1 << bits) - 1)) << (bits * (i % perByte));
    }
    return packed;
  }
  const codes = half && Array.from(data as Float32Array, half.write);
  const stored = codes ? (bits === 16 ? Uint16Array.from(codes) : Uint8Array.from(codes)) : data;
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength).slice();
}
