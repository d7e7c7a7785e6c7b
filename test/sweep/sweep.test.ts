import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { calibration, halftone, inProcess, pixels, start, tiny } from "../cli/halftone.ts";
import { base, bytesOf, finished, inFolder, plan, runs, tasks, writePlan } from "./plan.ts";

const sweep = (output: string, ...more: string[]): string[] => ["sweep", plan, "-o", inFolder(output), ...more];
type Table = { output: string; made: number; failed: number; rows: Record<string, unknown>[] };

let whole: Table;
beforeAll(async () => {
  const { code, stdout, stderr } = await inProcess(sweep("whole", "--workers", "0", "--json"));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  whole = JSON.parse(stdout);
});

test("every combination is a row, in order, measured and timed", () => {
  expect(whole).toMatchObject({ made: tasks, failed: 0 });
  expect(whole.rows).toHaveLength(runs);
  expect(whole.rows.slice(0, 5).map(({ weights, activations, ranges }) => [weights, activations, ranges])).toEqual([
    ["int8", "int8", "mse"],
    ["int8", "int8", "minmax"],
    ["int8", "int8", "percentile"],
    ["int8", "int4", "mse"],
    ["int8", "int4", "minmax"],
  ]);
  for (const row of whole.rows) {
    expect(row).toMatchObject({ model: "tiny", method: "nearest", seed: "0", samples: 16, float_top1: expect.any(Number) });
    for (const key of ["top1", "top5", "agreement", "logit_sqnr_db", "bytes", "seconds"]) expect(row[key]).toEqual(expect.any(Number));
  }
});

test("tables and plot hold every run, and no seconds", () => {
  const files = bytesOf("whole");
  expect(files.get("table.csv")!.trimEnd().split("\n")).toHaveLength(1 + runs);
  expect(files.get("table.csv")).toMatch(/^model,weights,activations,method,ranges,seed,samples,float_top1,top1,/);
  expect(files.get("table.md")!.trimEnd().split("\n")).toHaveLength(2 + runs);
  expect(JSON.parse(files.get("table.json")!)).toEqual(JSON.parse(JSON.stringify(whole.rows.map(({ seconds: _, ...row }) => row))));
  expect(files.get("plot.svg")).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  expect(files.get("plot.svg")!.match(/<circle/g)).toHaveLength(2 * runs);
  expect(finished("whole")).toHaveLength(tasks);
});

test("a run's program is the file that quantize writes with the same options", async () => {
  const path = inFolder("same.halftone");
  const options = ["--weights", "int4", "--activations", "int4", "--ranges", "minmax", "--samples", "16"];
  await inProcess(["quantize", tiny, "--data", calibration, ...pixels, ...options, "--workers", "0", "-o", path]);
  const row = whole.rows.find(({ weights, activations, ranges }) => weights === "int4" && activations === "int4" && ranges === "minmax");
  expect(createHash("sha256").update(readFileSync(path)).digest("hex")).toBe(row!.plan_sha256);
});

test("done again, nothing is done and nothing changes", async () => {
  const before = bytesOf("whole");
  const { stdout } = await inProcess(sweep("whole", "--workers", "0", "--json"));
  expect(JSON.parse(stdout)).toMatchObject({ made: 0, rows: whole.rows });
  expect(bytesOf("whole")).toEqual(before);
});

test("a plan that grows does only what is new", async () => {
  const { stdout } = await inProcess(sweep("whole", "--workers", "0", "--json", "--weights", "int8,int3", "--ranges", "mse"));
  const { made, rows } = JSON.parse(stdout) as Table;
  expect(made).toBe(2);
  expect(rows.map(({ weights, activations }) => [weights, activations])).toEqual([
    ["int8", "int8"],
    ["int8", "int4"],
    ["int3", "int8"],
    ["int3", "int4"],
  ]);
  // The folder is that of the whole sweep again.
  await inProcess(sweep("whole", "--workers", "0", "--json"));
});

describe("a sweep that is stopped", () => {
  const wholeTables = (): [string, string][] => [...bytesOf("whole")].filter(([name]) => !name.includes("/"));
  const tablesOf = (name: string): [string, string][] => [...bytesOf(name)].filter(([each]) => !each.includes("/"));
  const times = (name: string): [string, number][] =>
    finished(name).map((file) => [file, statSync(join(inFolder(name), "tasks", file)).mtimeMs]);

  test.for([
    ["SIGKILL", "2"],
    ["SIGTERM", "0"],
  ] as const)("by %s on %s workers continues: nothing is repeated, and the bytes are the same", async ([signal, workers]) => {
    const name = `${signal}${workers}`;
    const running = start(sweep(name, "--workers", workers));
    while (finished(name).length < 4 && running.child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
    running.child.kill(signal);
    const { code, stderr } = await running.outcome;
    expect({ code, stderr }).toEqual(
      signal === "SIGKILL"
        ? { code: null, stderr: "" }
        : { code: 1, stderr: `Stopped: what is finished is kept in ${join(inFolder(name), "tasks")}. The same command continues.\n` },
    );
    const kept = times(name);
    expect(kept.length).toBeGreaterThanOrEqual(4);
    expect(kept.length).toBeLessThan(tasks);

    const again = await halftone(sweep(name, "--workers", workers, "--json"));
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ made: tasks - kept.length, failed: 0 });
    expect(times(name)).toEqual(expect.arrayContaining(kept));
    expect(tablesOf(name)).toEqual(wholeTables());
  });
});

test("methods with cells, seeds and float activations: a run that cannot be done says why, and the others go on", async () => {
  const path = writePlan("methods.yaml", [
    ...base,
    "methods: [nearest, gptq, adaround iterations=2 batch=4]",
    "activations: float",
    "seeds: [0, 1]",
    "options: { weights: 4 }",
  ]);
  const { code, stdout } = await inProcess(["sweep", path, "-o", inFolder("methods"), "--workers", "0", "--json"]);
  const { rows, failed } = JSON.parse(stdout) as Table;
  expect({ code, failed }).toEqual({ code: 0, failed: 0 });
  expect(rows.map(({ weights, activations, method, seed }) => `${weights} ${activations} ${method} ${seed}`)).toEqual([
    "int4 float nearest 0",
    "int4 float gptq 0",
    "int4 float adaround iterations=2 batch=4 0",
    "int4 float adaround iterations=2 batch=4 1",
  ]);
  for (const row of rows) expect(row.weights_alone_agreement).toEqual(expect.any(Number));
  const plans = new Set(rows.map(({ plan_sha256 }) => plan_sha256));
  expect(plans.size).toBe(rows.length);

  const refused = await inProcess(["sweep", path, "-o", inFolder("methods"), "--workers", "0", "--json", "--recipe", excluding()]);
  const table = JSON.parse(refused.stdout) as Table;
  expect({ code: refused.code, failed: table.failed }).toEqual({ code: 1, failed: 4 });
  for (const { error, top1 } of table.rows) {
    expect(error).toContain("Conv_0");
    expect(top1).toBeUndefined();
  }
});

/** An integer program has no float layers. */
function excluding(): string {
  return writePlan("excluding.json", ['{"exclude": ["Conv_0"]}']);
}
