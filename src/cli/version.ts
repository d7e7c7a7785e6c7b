import { readFile } from "node:fs/promises";

/** From package.json, which lies above src/ and above dist/src/. */
export async function packageVersion(): Promise<string> {
  for (const path of ["../../package.json", "../../../package.json"]) {
    const content = await readFile(new URL(path, import.meta.url), "utf8").catch(() => undefined);
    const { name, version } = content === undefined ? {} : JSON.parse(content);
    if (name === "halftone") return version;
  }
  return "unknown";
}
