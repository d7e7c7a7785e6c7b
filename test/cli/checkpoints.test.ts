import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openCheckpoints, type RunIdentity } from "../../src/cli/checkpoints.ts";
import type { Dataset } from "../../src/data/types.ts";

const dataset = (first: number): Dataset => ({
  name: "bytes",
  length: 100,
  labelled: false,
  read: async (start, end) =>
    Array.from({ length: end - start }, (_, i) => ({
      place: `sample ${start + i}`,
      bytes: Uint8Array.of(start + i, first),
      format: { kind: "planes", dims: [1, 1, 2] },
      label: -1,
    })),
});

const identity: RunIdentity = { model: Uint8Array.of(1, 2, 3), dataset: dataset(0), samples: 70, options: { method: "qdrop", seed: 1 } };

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "halftone-"));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return join(path, "parts");
}

test("what was saved is there for the same run, and nothing else is in the folder", async () => {
  const path = folder();
  const store = await openCheckpoints(path, identity);
  expect(await store.get("part-0")).toBeUndefined();
  await store.put("part-0", Uint8Array.of(1, 2, 3));
  const again = await openCheckpoints(path, { ...identity, dataset: dataset(0) });
  expect([...(await again.get("part-0"))!]).toEqual([1, 2, 3]);
  expect(await again.get("part-1")).toBeUndefined();
  expect(readdirSync(path).sort()).toEqual(["part-0", "run.json"]);
});

test.for<[string, Partial<RunIdentity>]>([
  ["model", { model: Uint8Array.of(1, 2, 4) }],
  ["calibration data", { dataset: dataset(9) }],
  ["calibration data", { samples: 69 }],
  ["options", { options: { method: "qdrop", seed: 2 } }],
])("another %s is refused by name", async ([name, change]) => {
  const path = folder();
  await openCheckpoints(path, identity);
  await expect(openCheckpoints(path, { ...identity, ...change })).rejects.toThrow(`another ${name}`);
});

test.for(["not JSON", "null", "[]"])("a folder whose run.json holds %j is somebody else's", async (text) => {
  const path = folder();
  mkdirSync(path);
  writeFileSync(join(path, "run.json"), text);
  await expect(openCheckpoints(path, identity)).rejects.toMatchObject({ code: "OPTION_INVALID" });
});

test("a folder that cannot be made is told", async () => {
  const path = folder();
  writeFileSync(path, "a file");
  await expect(openCheckpoints(join(path, "below"), identity)).rejects.toMatchObject({ code: "FILE_UNWRITABLE" });
});
