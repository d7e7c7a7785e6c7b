// Files in place of memory, where all threads of a process share its open files: in Node. Elsewhere there is memory alone.
import { HalftoneError } from "../errors.ts";

/** An open file without a name: it is gone when it is closed, or the process is. */
export type Shelf = number;

type Files = typeof import("node:fs");

/** Node's, but for runtimes that merely look like it: their workers have open files of their own. */
function sharedFiles(): Files | undefined {
  const { process } = globalThis;
  const imitated = "Deno" in globalThis || process?.versions?.bun !== undefined;
  return imitated ? undefined : process?.getBuiltinModule?.("node:fs");
}

const files = sharedFiles();

/** Undefined where there are no such files, or no place for one. */
export function openShelf(): Shelf | undefined {
  const os = globalThis.process?.getBuiltinModule?.("node:os");
  if (!files || !os) return undefined;
  let [folder, shelf]: [string?, Shelf?] = [];
  try {
    folder = files.mkdtempSync(`${os.tmpdir()}/halftone-`);
    shelf = files.openSync(`${folder}/values`, "wx+");
    files.rmSync(folder, { recursive: true });
    return shelf;
  } catch {
    // Among others where an open file cannot lose its name.
    if (shelf !== undefined) files.closeSync(shelf);
    if (folder !== undefined) files.rmSync(folder, { recursive: true, force: true });
    return undefined;
  }
}

/** @throws HalftoneError FILE_UNWRITABLE */
export function put(shelf: Shelf, values: NodeJS.ArrayBufferView, position: number): void {
  try {
    for (let done = 0; done < values.byteLength; ) {
      const rest = new Uint8Array(values.buffer, values.byteOffset + done, values.byteLength - done);
      done += files!.writeSync(shelf, rest, 0, rest.length, position + done);
    }
  } catch (error) {
    const found = (error as NodeJS.ErrnoException).code ?? String(error);
    const hint = "Free some space, let TMPDIR name another folder, or calibrate on fewer samples.";
    throw new HalftoneError("FILE_UNWRITABLE", "values of the calibration samples", found, "room in the folder for temporary files", hint);
  }
}

/** @throws HalftoneError FILE_UNREADABLE where less was put */
export function fetch(shelf: Shelf, into: NodeJS.ArrayBufferView, position: number): void {
  for (let done = 0; done < into.byteLength; ) {
    const rest = new Uint8Array(into.buffer, into.byteOffset + done, into.byteLength - done);
    const read = files!.readSync(shelf, rest, 0, rest.length, position + done);
    if (read === 0) throw new HalftoneError("FILE_UNREADABLE", "values of the calibration samples", "a short file", "all that was put");
    done += read;
  }
}

export function closeShelf(shelf: Shelf): void {
  files!.closeSync(shelf);
}
