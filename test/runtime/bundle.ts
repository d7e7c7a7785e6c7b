import { existsSync, readFileSync, rmSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { build } from "tsdown";
import { runtimeBundle } from "../../tsdown.config.ts";

/** Builds 'halftone/runtime' as it is shipped into a folder of its own below build/. Returns the folder's address. */
export async function bundleRuntime(name: string): Promise<URL> {
  const outDir = `build/${name}`;
  rmSync(outDir, { recursive: true, force: true });
  for (const config of runtimeBundle(outDir))
    await build({ ...config, clean: false, config: false, silent: true } as Parameters<typeof build>[0]);
  return pathToFileURL(`${process.cwd()}/${outDir}/`);
}

export const bytesAt = (url: URL): Uint8Array => new Uint8Array(readFileSync(url));
export const isFile = (url: URL): boolean => existsSync(url);
