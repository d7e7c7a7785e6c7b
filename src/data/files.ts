import { HalftoneError } from "../errors.ts";

/** What data readers may ask of a file system. Paths use "/"; a Node, a browser (OPFS, dropped files) and an in-memory one fit. */
export interface Files {
  /** What stands at `path` (links followed), or undefined for nothing. Size in bytes, 0 for a folder. */
  stat(path: string): Promise<FileStat | undefined>;
  /** Names directly inside a folder, in any order. */
  list(path: string): Promise<readonly FileEntry[]>;
  /** Bytes start…end−1 (end beyond the file is clipped), or the whole file. The bytes are the caller's own, never a shared view. */
  read(path: string, start?: number, end?: number): Promise<Uint8Array<ArrayBuffer>>;
}

export type FileKind = "file" | "folder";

export interface FileStat {
  readonly kind: FileKind;
  readonly size: number;
}

export interface FileEntry {
  readonly name: string;
  readonly kind: FileKind;
}

/** A file, or an array in memory that reads like one. */
export interface ByteSource {
  /** For messages. */
  readonly place: string;
  readonly size: number;
  /** Exactly bytes start…end−1. @throws HalftoneError DATA_MALFORMED when the source is shorter. */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** Files held in memory, or Blobs (what a page is given by its user), which are read when asked for: keys are paths, folders are implied by them. */
export function memoryFiles(contents: ReadonlyMap<string, Uint8Array | Blob>): Files {
  const below = (path: string): string => (path === "" || path === "." ? "" : `${path.replace(/\/+$/, "")}/`);
  return {
    async stat(path) {
      const file = contents.get(path);
      if (file) return { kind: "file", size: file instanceof Blob ? file.size : file.length };
      const prefix = below(path);
      return [...contents.keys()].some((key) => key.startsWith(prefix)) ? { kind: "folder", size: 0 } : undefined;
    },
    async list(path) {
      const prefix = below(path);
      const entries = new Map<string, FileKind>();
      for (const key of contents.keys()) {
        if (!key.startsWith(prefix)) continue;
        const [name, ...deeper] = key.slice(prefix.length).split("/");
        entries.set(name!, deeper.length > 0 ? "folder" : "file");
      }
      return [...entries].map(([name, kind]) => ({ name, kind }));
    },
    async read(path, start = 0, end) {
      const file = contents.get(path);
      if (!file) throw unreadable(path, "nothing");
      return file instanceof Blob ? new Uint8Array(await file.slice(start, end).arrayBuffer()) : file.slice(start, end);
    },
  };
}

export function unreadable(path: string, found: string): HalftoneError {
  return new HalftoneError("FILE_UNREADABLE", path, found, "a readable file or folder", "Check the path.");
}

/** @throws HalftoneError FILE_UNREADABLE when there is no such file. */
export async function fileSource(path: string, files: Files): Promise<ByteSource> {
  const stat = await files.stat(path);
  if (!stat) throw unreadable(path, "nothing");
  if (stat.kind !== "file") throw unreadable(path, "a folder");
  return {
    place: path,
    size: stat.size,
    async read(start, end) {
      const bytes = await files.read(path, start, end);
      if (bytes.length !== end - start) throw truncated(path, bytes.length, end - start, start);
      return bytes;
    },
  };
}

export function memorySource(place: string, bytes: Uint8Array): ByteSource {
  return {
    place,
    size: bytes.length,
    async read(start, end) {
      if (end > bytes.length) throw truncated(place, Math.max(0, bytes.length - start), end - start, start);
      return bytes.slice(start, end);
    },
  };
}

function truncated(place: string, found: number, expected: number, start: number): HalftoneError {
  return new HalftoneError("DATA_MALFORMED", place, `${found} bytes from byte ${start}`, `${expected} bytes`, "The file is cut off.");
}

/** Order of code units: the same in every locale and on every file system. */
export function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function joinPath(folder: string, name: string): string {
  return folder === "" || folder.endsWith("/") ? `${folder}${name}` : `${folder}/${name}`;
}
