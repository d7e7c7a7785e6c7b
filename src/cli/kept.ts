// What a stopped run of quantize leaves behind: where the user says, or beside the output until that is written.
import { rm, rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { PartStore } from "../checkpoints.ts";
import { sha256 } from "../tasks/hash.ts";
import { openCheckpoints, type RunIdentity } from "./checkpoints.ts";

export interface KeptParts {
  readonly folder: string;
  readonly store: PartStore;
  /** Parts that are there: found, or put. */
  count(): number;
  /** Takes a folder away that nobody asked for. */
  clear(): Promise<void>;
}

/**
 * @param asked  the folder that the user names
 * @param output what is written in the end; by default parts are kept in a folder beside it, one for each way to run
 */
export async function keepParts(asked: string | undefined, output: string, identity: RunIdentity): Promise<KeptParts> {
  const text = JSON.stringify([await sha256(identity.model), identity.samples, identity.options]);
  const own = `${output.replace(/\.(halftone|onnx)$/, "")}.parts/${(await sha256(new TextEncoder().encode(text))).slice(0, 12)}`;
  const folder = asked ?? own;
  const store = await openCheckpoints(folder, identity);
  const there = new Set<string>();
  return {
    folder,
    store: {
      async get(name) {
        const found = await store.get(name);
        if (found) there.add(name);
        return found;
      },
      async put(name, bytes) {
        await store.put(name, bytes);
        there.add(name);
      },
    },
    count: () => there.size,
    async clear() {
      if (asked !== undefined) return;
      await rm(folder, { recursive: true, force: true });
      // Others may keep theirs beside it.
      await rmdir(dirname(folder)).catch(() => {});
    },
  };
}
