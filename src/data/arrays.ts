import { unzipSync } from "fflate";
import { HalftoneError } from "../errors.ts";
import { type ByteSource, memorySource } from "./files.ts";
import { maxInflatedBytes } from "./inflate.ts";
import { checkLabel } from "./labels.ts";
import { npyTypes, type NpyType, readElement, readNpyHeader } from "./npy.ts";
import type { Dataset, SampleFormat } from "./types.ts";

type ArrayType = Extract<SampleFormat, { kind: "array" }>["dtype"];
const sampleTypes: readonly NpyType[] = ["int8", "uint8", "int16", "int32", "float32", "float64"] satisfies ArrayType[];
const floatTypes: readonly NpyType[] = ["float32", "float64"];

/** X [N, …] and, optionally, labels [N] or [N, 1] of any integer type. Rows are read by range. */
export async function openArrays(x: ByteSource, y: ByteSource | undefined, labelOffset: number): Promise<Dataset> {
  const header = await readNpyHeader(x);
  const [count, ...dims] = header.dims;
  if (count === undefined) throw new HalftoneError("DATA_MALFORMED", x.place, "a single number", "an array [samples, …]");
  if (count === 0) throw new HalftoneError("DATA_EMPTY", x.place, "0 rows", "at least one sample");
  if (dims.includes(0)) throw new HalftoneError("DATA_EMPTY", x.place, `rows of shape (${dims.join(", ")})`, "rows with elements");
  if (!sampleTypes.includes(header.dtype))
    throw new HalftoneError(
      "DATA_MALFORMED",
      x.place,
      `element type ${header.dtype}`,
      sampleTypes.join(", "),
      "Convert it: x.astype('<f4').",
    );
  const format: SampleFormat = { kind: "array", dtype: header.dtype as ArrayType, dims };

  const labels = y && (await readNpyHeader(y));
  if (labels) {
    const [labelCount, ...rest] = labels.dims;
    if (floatTypes.includes(labels.dtype))
      throw new HalftoneError("LABEL_RANGE", y.place, `labels of type ${labels.dtype}`, "integers", "Convert them: y.astype('int32').");
    if (rest.some((dim) => dim !== 1))
      throw new HalftoneError("DATA_MISMATCH", y.place, `shape (${labels.dims.join(", ")})`, `(${count},)`, "One-hot labels: y.argmax(1).");
    if (labelCount !== count)
      throw new HalftoneError("DATA_MISMATCH", y.place, `${labelCount ?? 1} labels`, `${count}, one for each row of ${x.place}`);
  }
  const rowBytes = dims.reduce((product, dim) => product * dim, npyTypes[header.dtype].bytes);
  return {
    name: x.place,
    length: count,
    labelled: labels !== undefined,
    async read(start, end) {
      const rows = await x.read(header.dataStart + start * rowBytes, header.dataStart + end * rowBytes);
      const stored = labels && y ? await readLabels(y, labels.dtype, labels.dataStart, start, end) : undefined;
      return Array.from({ length: end - start }, (_, i) => {
        const place = `${x.place} row ${start + i}`;
        const bytes = rows.slice(i * rowBytes, (i + 1) * rowBytes);
        return { place, bytes, format, label: stored ? checkLabel(stored[i]!, labelOffset, place) : -1 };
      });
    },
  };
}

async function readLabels(y: ByteSource, dtype: NpyType, dataStart: number, start: number, end: number): Promise<number[]> {
  const size = npyTypes[dtype].bytes;
  const bytes = await y.read(dataStart + start * size, dataStart + end * size);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Array.from({ length: end - start }, (_, i) => readElement(view, i * size, dtype));
}

/** Deflate cannot do better than 1032 : 1, so an entry that claims more is damaged or hostile. */
const maxRatio = 1032;

/** The arrays x and y (y may be absent) of an npz archive, which is held in memory, inflated once. */
export async function openArchive(source: ByteSource, labelOffset: number): Promise<Dataset> {
  const bytes = await source.read(0, source.size);
  const names: string[] = [];
  let total = 0;
  let entries: Record<string, Uint8Array>;
  try {
    entries = unzipSync(bytes, {
      filter: ({ name, size, originalSize }) => {
        names.push(name);
        if (!/^[xy]\.npy$/i.test(name)) return false;
        total += originalSize;
        if (size > bytes.length || originalSize > size * maxRatio + 64 || total > maxInflatedBytes)
          throw new Error(`'${name}' claims ${originalSize} bytes`);
        return true;
      },
    });
  } catch (error) {
    const found = `an archive that breaks (${error instanceof Error ? error.message : error})`;
    throw new HalftoneError("DATA_MALFORMED", source.place, found, "an npz archive", "Write it with numpy.savez.");
  }
  const array = (letter: string): ByteSource | undefined => {
    const name = Object.keys(entries).find((key) => key.toLowerCase() === `${letter}.npy`);
    return name === undefined ? undefined : memorySource(`${source.place}:${name}`, entries[name]!);
  };
  const x = array("x");
  if (!x) {
    const found = names.length > 0 ? `arrays ${names.slice(0, 8).join(", ")}` : "no arrays";
    throw new HalftoneError(
      "DATA_MISMATCH",
      source.place,
      found,
      "an array named x (and y for labels)",
      "Write it with numpy.savez(f, x=x, y=y).",
    );
  }
  return openArrays(x, array("y"), labelOffset);
}
