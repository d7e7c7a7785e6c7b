// Model files named on the command line: read through once, so that a broken one is refused by its own name before the work begins.
import { HalftoneError } from "../errors.ts";
import { readModel } from "../onnx/read.ts";
import { readPlan } from "../plan/reader.ts";
import { readBytes } from "./files.ts";

export type ModelKind = "float" | "integer";

interface Kind {
  readonly extension: string;
  readonly what: string;
  read(bytes: Uint8Array): unknown;
}

const kinds: Readonly<Record<ModelKind, Kind>> = {
  float: { extension: ".onnx", what: "a float model (.onnx)", read: (bytes) => readModel(bytes) },
  integer: { extension: ".halftone", what: "an integer program (.halftone)", read: (bytes) => readPlan(bytes) },
};

export const kindOf = (path: string): ModelKind | undefined =>
  (Object.keys(kinds) as ModelKind[]).find((kind) => path.endsWith(kinds[kind].extension));

/**
 * Bytes of a model file of one of the allowed kinds.
 *
 * @throws HalftoneError FILE_UNREADABLE, OPTION_INVALID for another extension, and what the readers say, with the file's name
 */
export async function openModel(path: string, ...allowed: readonly ModelKind[]): Promise<Uint8Array<ArrayBuffer>> {
  const kind = kindOf(path);
  if (!kind || !allowed.includes(kind)) {
    const found = kind ? kinds[kind].what : "a file of another kind, by its name";
    const hint = kind === "float" ? "`halftone quantize` makes one of a float model." : "";
    throw new HalftoneError("OPTION_INVALID", path, found, allowed.map((each) => kinds[each].what).join(" or "), hint);
  }
  const bytes = await readBytes(path);
  await inFile(path, () => kinds[kind].read(bytes));
  return bytes;
}

/** Does something with a file; what goes wrong is told with its name. */
export async function inFile<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof HalftoneError)) throw error;
    const { code, place, found, expected, hint } = error;
    throw new HalftoneError(code, place === "model" ? path : `${path}, ${place}`, found, expected, hint);
  }
}
