// What a sweep has finished, in a folder: results by the hash of their task, and apart from them how long they took.
import { appendFile, mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { HalftoneError } from "../errors.ts";
import { sha256 } from "../tasks/hash.ts";
import type { Store } from "../tasks/store.ts";
import { version } from "../version.ts";
import { readBytes, readText, writeWhole } from "./files.ts";

/** One file for each name, written whole: several processes may share the folder. */
export async function folderStore(folder: string): Promise<Store> {
  await mkdir(folder, { recursive: true }).catch((error: Error) => {
    throw new HalftoneError("FILE_UNWRITABLE", folder, error.message, "a folder, or a place to make one");
  });
  const there = (name: string): Promise<boolean> =>
    stat(join(folder, name)).then(
      () => true,
      () => false,
    );
  return {
    has: there,
    get: async (name) => ((await there(name)) ? readBytes(join(folder, name)) : undefined),
    put: (name, bytes) => writeWhole(join(folder, name), bytes),
  };
}

/** Seconds that tasks ran, a line each. They differ from run to run, so no result may hold them. */
export class Seconds {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async add(task: string, seconds: number): Promise<void> {
    await appendFile(this.#path, `${JSON.stringify({ task, seconds: Math.round(seconds * 1000) / 1000 })}\n`);
  }

  /** By task. A line that a killed process left unfinished is passed over. */
  async read(): Promise<Map<string, number>> {
    const lines = await readText(this.#path).then(
      (text) => text.split("\n"),
      () => [],
    );
    return new Map(lines.flatMap((line): [string, number][] => parsed(line)));
  }
}

function parsed(line: string): [string, number][] {
  try {
    const { task, seconds } = JSON.parse(line);
    return [[task, seconds]];
  } catch {
    return [];
  }
}

/** Names what computes: this package's version and the hashes of its kernels. */
export async function arithmeticName(): Promise<string> {
  const kernels = ["float.wasm", "integer.wasm"].map((file) => fileURLToPath(new URL(`../../build/${file}`, import.meta.url)));
  const hashes = await Promise.all(kernels.map(async (path) => sha256(await readBytes(path))));
  return sha256(new TextEncoder().encode([version, ...hashes].join(" ")));
}
