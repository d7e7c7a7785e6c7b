import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { calibration, halftone, json, pixels, temporaryFolder, text, tiny } from "./halftone.ts";

const folder = temporaryFolder();
const main = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const base = ["quantize", tiny, "--data", calibration, ...pixels, "--samples", "24", "--weights", "int3", "--activations", "int4"];
const outputs = (name: string): string[] => ["-o", folder.path(`${name}.halftone`), "-o", folder.path(`${name}.onnx`)];

/** Starts the command, and kills the process without a word once a file is there. */
async function killAt(file: string, args: readonly string[]): Promise<NodeJS.Signals | null> {
  const child: ChildProcess = spawn(process.execPath, [main, ...args], { stdio: "ignore" });
  const timer = setInterval(() => existsSync(file) && child.kill("SIGKILL"), 2);
  const signal = await new Promise<NodeJS.Signals | null>((resolve) => child.on("exit", (_, by) => resolve(by)));
  clearInterval(timer);
  return signal;
}

test.for([
  ["qdrop", ["--iterations", "25"], "part-0"],
  ["gram-adaround", ["--iterations", "400"], "layer-0"],
])("%s, killed with SIGKILL, continues to the same bytes on another number of workers", async ([method, flags, first]) => {
  const learn = [...base, "--method", method as string, ...(flags as string[])];
  await text([...learn, "--workers", "2", ...outputs(`${method}-whole`)]);
  const kept = folder.path(`${method}-kept`);
  const resumable = [...learn, "--checkpoints", kept, ...outputs(`${method}-resumed`)];
  expect(await killAt(`${kept}/${first}`, [...resumable, "--workers", "1"])).toBe("SIGKILL");
  expect(existsSync(folder.path(`${method}-resumed.halftone`))).toBe(false);
  await text([...resumable, "--workers", "0"]);
  for (const extension of ["halftone", "onnx"]) {
    const [whole, resumed] = ["whole", "resumed"].map((run) => readFileSync(folder.path(`${method}-${run}.${extension}`)));
    expect(resumed!.equals(whole!)).toBe(true);
  }
  const other = await halftone([...resumable, "--seed", "7"]);
  expect(other.code).toBe(2);
  expect(other.stderr).toContain("parts learned with another options");
});

test("with --json each part is an event on stderr, and the object at the end has them all; the plan remembers them", async () => {
  const out = folder.path("events.halftone");
  const learn = [...base, "--method", "brecq", "--iterations", "8", "--workers", "0", "-o", out, "--report", folder.path("events.html")];
  const { code, stdout, stderr } = await halftone([...learn, "--json"]);
  expect(code).toBe(0);
  const events = stderr
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const parts = events.filter(({ event }) => event === "part");
  expect(parts.length).toBeGreaterThan(1);
  expect(parts.map(({ part }) => part)).toEqual(parts.map((_, i) => i + 1));
  const result = JSON.parse(stdout) as { parts: Record<string, unknown>[] };
  expect(result.parts.map(({ name }) => name)).toEqual(parts.map(({ name }) => name));
  for (const part of result.parts) {
    for (const key of ["lossBefore", "lossAfter", "signal", "elements", "moved", "undecided", "seconds"])
      expect(part[key]).toEqual(expect.any(Number));
  }
  const { provenance } = (await json(["inspect", out])) as { provenance: { parts: object[] } };
  expect(provenance.parts).toEqual(result.parts.map(({ seconds: _, ...part }) => part));
  const page = readFileSync(folder.path("events.html"), "utf8");
  expect(page).toContain("Learned parts");
  expect(page).toContain('aria-label="Signal to noise of each part before and after learning"');
  expect(await text(["inspect", out])).toMatch(/part +name +SQNR before → after/);
});

test("text has a line a part, with the time it took and the time left", async () => {
  const printed = await text([...base, "--method", "qdrop", "--iterations", "8", "--workers", "0", "-o", folder.path("text.halftone")]);
  const lines = printed.split("\n").filter((line) => line.startsWith("part "));
  expect(lines.length).toBeGreaterThan(1);
  for (const line of lines) expect(line).toMatch(/ → .* dB · .* % moved · .* % undecided · .* s/);
  expect(lines[0]).toMatch(/ left$/);
});
