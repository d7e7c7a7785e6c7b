import { HalftoneError } from "../errors.ts";
import type { ByteSource } from "./files.ts";

/** The npy element types we read, with numpy's little-endian name and size in bytes. */
export const npyTypes = {
  bool: { descr: "|b1", bytes: 1 },
  int8: { descr: "|i1", bytes: 1 },
  uint8: { descr: "|u1", bytes: 1 },
  int16: { descr: "<i2", bytes: 2 },
  uint16: { descr: "<u2", bytes: 2 },
  int32: { descr: "<i4", bytes: 4 },
  uint32: { descr: "<u4", bytes: 4 },
  int64: { descr: "<i8", bytes: 8 },
  uint64: { descr: "<u8", bytes: 8 },
  float32: { descr: "<f4", bytes: 4 },
  float64: { descr: "<f8", bytes: 8 },
} as const;

export type NpyType = keyof typeof npyTypes;

export interface NpyHeader {
  readonly dtype: NpyType;
  readonly dims: readonly number[];
  /** Byte at which the elements begin, row-major. */
  readonly dataStart: number;
}

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** numpy itself refuses headers above 10,000 characters by default. */
const maxHeader = 65_536;

/**
 * @throws HalftoneError DATA_MALFORMED for anything but a whole, C-ordered, little-endian array of `npyTypes`
 * @source numpy.lib.format, versions 1.0, 2.0 and 3.0
 */
export async function readNpyHeader(source: ByteSource): Promise<NpyHeader> {
  const malformed = (found: string, expected: string, hint = ""): HalftoneError =>
    new HalftoneError("DATA_MALFORMED", source.place, found, expected, hint);
  const head = await source.read(0, Math.min(12, source.size));
  if (head.length < 10 || magic.some((byte, i) => head[i] !== byte))
    throw malformed("a file that does not begin with \\x93NUMPY", "an npy array", "Write it with numpy.save.");
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const wide = head[6]! >= 2;
  if (head[6]! < 1 || head[6]! > 3 || (wide && head.length < 12)) throw malformed(`npy version ${head[6]}`, "1, 2 or 3");
  const headerBytes = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const headerStart = wide ? 12 : 10;
  const dataStart = headerStart + headerBytes;
  if (headerBytes > maxHeader || dataStart > source.size)
    throw malformed(
      `a header of ${headerBytes} bytes in a file of ${source.size}`,
      "a header inside the file",
      "The file is damaged or cut off.",
    );
  const text = new TextDecoder("latin1").decode(await source.read(headerStart, dataStart));

  const descr = /['"]descr['"]\s*:\s*['"]([^'"]*)['"]/.exec(text)?.[1];
  const order = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(text)?.[1];
  const shape = /['"]shape['"]\s*:\s*\(([\d,\sL]*)\)/.exec(text)?.[1];
  if (descr === undefined || order === undefined || shape === undefined)
    throw malformed(`header ${JSON.stringify(text.slice(0, 80).trim())}`, "a dictionary with descr, fortran_order and shape");
  const dtype = (Object.keys(npyTypes) as NpyType[]).find((type) => npyTypes[type].descr === descr);
  if (!dtype)
    throw malformed(
      `element type '${descr}'`,
      Object.values(npyTypes)
        .map((type) => `'${type.descr}'`)
        .join(", "),
      "Convert it: x.astype('<f4').",
    );
  const dims = shape
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => Number.parseInt(part, 10));
  if (order === "True" && dims.length > 1)
    throw malformed("Fortran order (columns first)", "C order (rows first)", "Save numpy.ascontiguousarray(x).");
  const bytes = dims.reduce((product, dim) => product * dim, npyTypes[dtype].bytes);
  if (!Number.isSafeInteger(bytes) || dims.some((dim) => !Number.isSafeInteger(dim)))
    throw new HalftoneError("SHAPE_OVERFLOW", source.place, `shape (${dims.join(", ")})`, "fewer than 2^53 bytes in all");
  if (dataStart + bytes !== source.size)
    throw malformed(
      `${source.size - dataStart} bytes of elements`,
      `${bytes} for shape (${dims.join(", ")}) of ${dtype}`,
      "The file is damaged or cut off.",
    );
  return { dtype, dims, dataStart };
}

/** One element as a number, exactly; int64 beyond 2^53 is rounded. */
export function readElement(view: DataView, byte: number, dtype: NpyType): number {
  switch (dtype) {
    case "int8":
      return view.getInt8(byte);
    case "bool":
    case "uint8":
      return view.getUint8(byte);
    case "int16":
      return view.getInt16(byte, true);
    case "uint16":
      return view.getUint16(byte, true);
    case "int32":
      return view.getInt32(byte, true);
    case "uint32":
      return view.getUint32(byte, true);
    case "int64":
      return Number(view.getBigInt64(byte, true));
    case "uint64":
      return Number(view.getBigUint64(byte, true));
    case "float32":
      return view.getFloat32(byte, true);
    case "float64":
      return view.getFloat64(byte, true);
  }
}

/** An npy file, version 1.0, C order; `data` holds the elements row-major. */
export function encodeNpy(
  data: Float32Array | Float64Array | Int8Array | Uint8Array | Int32Array,
  dims: readonly number[],
): Uint8Array<ArrayBuffer> {
  const names = { Float32Array: "float32", Float64Array: "float64", Int8Array: "int8", Uint8Array: "uint8", Int32Array: "int32" } as const;
  const { descr, bytes } = npyTypes[names[data.constructor.name as keyof typeof names]];
  const shape = dims.length === 1 ? `${dims[0]},` : dims.join(", ");
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape}), }`;
  // numpy pads with spaces and a line feed, so that the elements begin at a multiple of 64.
  const headerBytes = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const out = new Uint8Array(10 + headerBytes + data.length * bytes);
  const view = new DataView(out.buffer);
  out.set([...magic, 1, 0]);
  view.setUint16(8, headerBytes, true);
  out.set(new TextEncoder().encode(`${text.padEnd(headerBytes - 1)}\n`), 10);
  for (let i = 0, at = 10 + headerBytes; i < data.length; i++, at += bytes) {
    if (bytes === 1) out[at] = data[i]! & 255;
    else if (data instanceof Int32Array) view.setInt32(at, data[i]!, true);
    else if (bytes === 4) view.setFloat32(at, data[i]!, true);
    else view.setFloat64(at, data[i]!, true);
  }
  return out;
}
