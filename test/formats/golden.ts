import { readFileSync } from "node:fs";

/** A tensor of the golden files: shape and row-major data. */
export interface GoldenTensor {
  readonly s: readonly number[];
  readonly d: readonly number[];
}

interface Case {
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: each case has fields of its own
  readonly in: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly out: any;
}

export const readGolden = (file: string): unknown => JSON.parse(readFileSync(new URL(`../golden/${file}`, import.meta.url), "utf8"));

const cases = (readGolden("00_conventions.json") as { cases: Case[] }).cases;

export function golden(name: string): Case {
  return cases.find((each) => each.name === name)!;
}
