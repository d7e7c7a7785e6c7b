// A small sweep that several tests do in different ways, and must end with the same bytes.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { calibration, held, tiny } from "../cli/halftone.ts";

const folder = mkdtempSync(join(tmpdir(), "halftone-sweep-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

export const inFolder = (name: string): string => join(folder, name);

export function writePlan(name: string, lines: readonly string[]): string {
  const path = inFolder(name);
  writeFileSync(path, `${lines.join("\n")}\n`);
  return path;
}

export const base: readonly string[] = [
  `models: ${tiny}`,
  `data: ${calibration}`,
  `test: ${held}`,
  "mean: 0.2860",
  "std: 0.3530",
  "samples: 16",
  "limit: 16",
];

/** 24 runs. */
export const plan: string = writePlan("plan.yaml", [
  ...base,
  "weights: [int8, int6, int4, int2]",
  "activations: [int8, int4]",
  "ranges: [mse, minmax, percentile]",
]);
export const runs = 24;
/** Statistics and float answers besides. */
export const tasks: number = runs + 2;

/** Every file but the seconds, by name. */
export function bytesOf(name: string): Map<string, string> {
  const path = inFolder(name);
  const files = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1)).filter((each) => each !== "seconds.ndjson");
  return new Map(paths.toSorted().map((each) => [each, readFileSync(join(path, each), "latin1")]));
}

/** Finished tasks. */
export function finished(name: string): string[] {
  try {
    return readdirSync(join(inFolder(name), "tasks")).filter((file) => /^[0-9a-f]{64}$/.test(file));
  } catch {
    return [];
  }
}
