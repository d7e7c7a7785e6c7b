// The one room that touches the disk.
import { randomUUID } from "node:crypto";
import { access, constants, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Files } from "../data/index.ts";
import { HalftoneError } from "../errors.ts";

/** The file system as data readers want it. */
export const nodeFiles: Files = {
  async stat(path) {
    const found = await stat(path).catch(() => undefined);
    return found && { kind: found.isDirectory() ? "folder" : "file", size: found.isDirectory() ? 0 : found.size };
  },
  async list(path) {
    const entries = await readdir(path, { withFileTypes: true });
    return Promise.all(
      entries.map(async (entry) => {
        const folder = entry.isSymbolicLink() ? (await stat(`${path}/${entry.name}`)).isDirectory() : entry.isDirectory();
        return { name: entry.name, kind: folder ? ("folder" as const) : ("file" as const) };
      }),
    );
  },
  async read(path, start, end) {
    if (start === undefined) return new Uint8Array(await readBytes(path));
    const handle = await open(path).catch((error: Error) => Promise.reject(unreadable(path, error)));
    try {
      const length = (end ?? (await handle.stat()).size) - start;
      const bytes = new Uint8Array(length);
      const { bytesRead } = await handle.read(bytes, 0, length, start);
      return bytes.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  },
};

/** @throws HalftoneError FILE_UNREADABLE */
export async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readFile(path).catch((error: Error) => Promise.reject(unreadable(path, error)));
  // Small files come as a slice of a pool; readers want a buffer of their own.
  return bytes.byteLength === bytes.buffer.byteLength ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}

export async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readBytes(path));
}

/** Names of classes, one a line. */
export async function readLabels(path: string): Promise<string[]> {
  const lines = (await readText(path)).split(/\r?\n/);
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

/**
 * Makes the folder of an output, before work whose result could otherwise not be kept.
 *
 * @throws HalftoneError FILE_UNWRITABLE
 */
export async function prepareFolder(path: string): Promise<void> {
  const folder = dirname(path);
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (error) {
    throw unwritable(path, error as Error);
  }
}

/**
 * Writes under a temporary name and renames, so that an interrupted run leaves the old file or the new one, never half of one.
 *
 * @throws HalftoneError FILE_UNWRITABLE
 */
export async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  const temporary = `${path}.${randomUUID()}.partial`;
  try {
    await writeFile(temporary, content);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw unwritable(path, error as Error);
  }
}

function unwritable(path: string, error: Error): HalftoneError {
  const found = error.message.replace(/, \w+ '.*$/, "");
  return new HalftoneError("FILE_UNWRITABLE", path, found, "a place to write to", `Check that ${dirname(path)} is a folder with room.`);
}

function unreadable(path: string, error: Error): HalftoneError {
  const found = (error as NodeJS.ErrnoException).code === "ENOENT" ? "nothing" : error.message;
  return new HalftoneError("FILE_UNREADABLE", path, found, "a readable file", "Check the path.");
}
