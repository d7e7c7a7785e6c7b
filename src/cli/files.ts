import { open, readdir, stat } from "node:fs/promises";
import { type Files, unreadable } from "../data/files.ts";

/** Node's file system. Symbolic links are followed. */
export const nodeFiles: Files = {
  async stat(path) {
    try {
      const found = await stat(path);
      return { kind: found.isDirectory() ? "folder" : "file", size: found.isDirectory() ? 0 : found.size };
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "ENOENT" || code === "ENOTDIR" || code === "ENAMETOOLONG") return undefined;
      throw unreadable(path, code ?? String(error));
    }
  },

  async list(path) {
    const entries = await readdir(path, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
      throw unreadable(path, error.code ?? String(error));
    });
    return Promise.all(
      entries.map(async (entry) => ({
        name: entry.name,
        kind:
          entry.isDirectory() || (entry.isSymbolicLink() && (await nodeFiles.stat(`${path}/${entry.name}`))?.kind === "folder")
            ? "folder"
            : "file",
      })),
    );
  },

  async read(path, start = 0, end) {
    const file = await open(path).catch((error: NodeJS.ErrnoException) => {
      throw unreadable(path, error.code ?? String(error));
    });
    try {
      const { size } = await file.stat();
      const bytes = new Uint8Array(Math.max(0, Math.min(end ?? size, size) - start));
      let filled = 0;
      while (filled < bytes.length) {
        const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, start + filled);
        if (bytesRead === 0) return bytes.slice(0, filled);
        filled += bytesRead;
      }
      return bytes;
    } catch (error) {
      throw unreadable(path, (error as NodeJS.ErrnoException).code ?? String(error));
    } finally {
      await file.close();
    }
  },
};
