// A long run in the origin's private file system (OPFS): what a reloaded or closed tab continues from.
import { memoryFiles, openDataset, type PartStore, prepare, readModel } from "halftone";
import type { Choices } from "../protocol.ts";
import { bytesOf, type Source, type Table } from "./table.ts";

declare global {
  /** TypeScript has it among the types of workers only. */
  interface FileSystemFileHandle {
    createSyncAccessHandle(): Promise<{
      truncate(size: number): void;
      write(bytes: Uint8Array<ArrayBuffer>, options: { at: number }): number;
      flush(): void;
      close(): void;
    }>;
  }
}

const folderName = "unfinished-run";

interface Stored {
  readonly path: string;
  /** Path, offset and length in the file of samples. */
  readonly files: readonly (readonly [string, number, number])[];
}

interface Manifest extends Pick<Table, "name" | "preprocessing" | "labels"> {
  /** Address of this script, which changes with its contents: parts learned by another version are not continued. */
  readonly version: string;
  readonly choices: Choices;
  readonly calibration: Stored;
  readonly test: Stored | undefined;
}

export interface UnfinishedRun {
  readonly table: Table;
  readonly choices: Choices;
  readonly store: KeptParts;
}

/** Parts that are done. A file cut off by a crash does not have the hash at its beginning, and its part is learned again. */
export class KeptParts implements PartStore {
  readonly #folder: FileSystemDirectoryHandle;
  /** Parts that an earlier run had finished. */
  found = 0;

  constructor(folder: FileSystemDirectoryHandle) {
    this.#folder = folder;
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    const file = await readFile(this.#folder, name);
    if (!file) return undefined;
    const bytes = await bytesOf(file);
    const content = bytes.slice(32);
    const hash = await digest(content);
    if (hash.some((byte, i) => byte !== bytes[i])) return undefined;
    this.found++;
    return content;
  }

  async put(name: string, content: Uint8Array): Promise<void> {
    const own = content as Uint8Array<ArrayBuffer>;
    await writeFile(this.#folder, name, [await digest(own), own]);
  }
}

/** Keeps what the run is made of. The manifest comes last: without it there is no run. */
export async function keepRun(table: Table, choices: Choices): Promise<KeptParts> {
  await forgetRun();
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle(folderName, { create: true });
  await writeFile(folder, "model", [table.model]);
  const blobs: Blob[] = [];
  let offset = 0;
  const stored = ({ path, files }: Source): Stored => ({
    path,
    files: [...files].map(([name, blob]) => {
      blobs.push(blob);
      offset += blob.size;
      return [name, offset - blob.size, blob.size];
    }),
  });
  const { name, preprocessing, labels } = table;
  const calibration = stored(table.calibration);
  const test = table.test && stored(table.test);
  await writeFile(folder, "samples", blobs);
  const manifest: Manifest = { version: import.meta.url, name, preprocessing, labels, choices, calibration, test };
  await writeFile(folder, "run.json", [new TextEncoder().encode(JSON.stringify(manifest))]);
  return new KeptParts(folder);
}

/** The run that was left behind, if this version can continue it. */
export async function findRun(): Promise<UnfinishedRun | undefined> {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle(folderName).catch(() => undefined);
  const [manifestFile, modelFile, samples] = folder
    ? await Promise.all(["run.json", "model", "samples"].map((name) => readFile(folder, name)))
    : [];
  if (!folder || !manifestFile || !modelFile || !samples) return undefined;
  const manifest = JSON.parse(await manifestFile.text()) as Manifest;
  if (manifest.version !== import.meta.url) return undefined;
  const source = async ({ path, files }: Stored): Promise<Source> => {
    const blobs = new Map(files.map(([name, offset, size]) => [name, samples.slice(offset, offset + size)]));
    return { path, files: blobs, dataset: await openDataset(path, memoryFiles(blobs)) };
  };
  const model = await bytesOf(modelFile);
  const { name, preprocessing, labels, choices } = manifest;
  const [calibration, test] = [await source(manifest.calibration), manifest.test && (await source(manifest.test))];
  const table: Table = { name, model, graph: prepare(readModel(model)), calibration, test, preprocessing, labels };
  return { table, choices, store: new KeptParts(folder) };
}

export async function forgetRun(): Promise<void> {
  const root = await navigator.storage.getDirectory();
  await root.removeEntry(folderName, { recursive: true }).catch(() => {});
}

async function readFile(folder: FileSystemDirectoryHandle, name: string): Promise<File | undefined> {
  const handle = await folder.getFileHandle(name).catch(() => undefined);
  return handle?.getFile();
}

/** Synchronous handles: those that every browser's workers have. */
async function writeFile(
  folder: FileSystemDirectoryHandle,
  name: string,
  parts: readonly (Blob | Uint8Array<ArrayBuffer>)[],
): Promise<void> {
  const handle = await (await folder.getFileHandle(name, { create: true })).createSyncAccessHandle();
  try {
    handle.truncate(0);
    let at = 0;
    for (const part of parts) at += handle.write(part instanceof Blob ? await bytesOf(part) : part, { at });
    handle.flush();
  } finally {
    handle.close();
  }
}

const digest = async (bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
