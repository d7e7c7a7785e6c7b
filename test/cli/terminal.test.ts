import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { writeWhole } from "../../src/cli/files.ts";
import { duration, table } from "../../src/cli/terminal.ts";
import { calibration, halftone, held, pixels, resnet, temporaryFolder, tiny } from "./halftone.ts";

const folder = temporaryFolder();
const commands = ["quantize", "evaluate", "inspect", "run", "bench", "sweep", "worker"];

test("--help lists the commands", async () => {
  const { code, stdout } = await halftone(["--help"]);
  expect(code).toBe(0);
  for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} `, "m"));
});

test("--version is that of the package", async () => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  expect(await halftone(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n` });
});

test.for(commands)("%s --help has an example of itself and says what each flag is", async (command) => {
  const { code, stdout } = await halftone([command, "--help"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(new RegExp(`^  halftone ${command} \\S+`, "m"));
  expect(stdout).toMatch(/Examples?:\n/);
  const flags = stdout.trimEnd().split("FLAGS\n")[1]!.split("\n\n")[0]!.split("\n");
  for (const line of flags) expect(line).toMatch(/--[a-z-]+\S*\s{2,}\S/);
});

test.for([
  ["no argument", ["quantize"], "Expected argument for MODEL.onnx"],
  ["no --data", ["quantize", tiny, "-o", "x.onnx"], "Expected input for flag --data"],
  ["no output", ["quantize", tiny, "--data", calibration], "Expected input for flag --output"],
  ["an unknown command", ["quantise"], "did you mean"],
  ["an unknown flag", ["inspect", tiny, "--colour"], "--colour"],
  ["a number that is none", ["evaluate", tiny, "--data", held, "--limit", "many"], "expected a whole number"],
  [
    "a choice that is none",
    ["quantize", tiny, "--data", calibration, "--ranges", "guess", "-o", "x.onnx"],
    "mse|minmax|percentile|entropy",
  ],
  ["a width that is none", ["quantize", tiny, "--data", calibration, "--weights", "int9", "-o", "x.onnx"], "int2 … int8"],
] as const)("%s is a usage error: exit code 2, help named", async ([, args, sentence]) => {
  const { code, stdout, stderr } = await halftone(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(sentence);
  expect(stderr).toContain("--help");
  expect(stderr).not.toContain("    at ");
});

describe("progress", () => {
  const args = ["evaluate", tiny, "--data", held, ...pixels, "--limit", "600", "--workers", "0", "--json"];

  test("shows the stage and the time left on a terminal, on stderr alone", async () => {
    const { code, stdout, stderr } = await halftone(args, { terminal: true });
    expect(code).toBe(0);
    expect(stderr).toMatch(/evaluate .*\d+\/600 .*\d s left/);
    expect(Object.keys(JSON.parse(stdout))).toEqual(["samples", "top1", "top5"]);
  });

  test("is silent elsewhere", async () => {
    expect((await halftone(args)).stderr).toBe("");
  });
});

describe("Ctrl-C", () => {
  const quantize = (name: string, ...more: string[]): string[] => [
    ...["quantize", resnet, "--data", calibration, ...pixels, "--test", held, "-o", folder.path(`${name}.halftone`)],
    ...["-o", folder.path(`${name}.onnx`), "--report", folder.path(`${name}.html`), ...more],
  ];

  test.for([
    ["calibration", "0"],
    ["calibration", "2"],
    ["evaluation", "0"],
    ["evaluation", "2"],
  ] as const)("during %s on %s workers cancels with one sentence and leaves no file", async ([stage, workers]) => {
    const started = performance.now();
    const { code, stderr } = await halftone(quantize("cancelled", "--workers", workers), {
      terminal: true,
      interrupt: { after: stage === "calibration" ? "calibrate" : "evaluate" },
    });
    expect(code).toBe(1);
    expect(stderr.split("\n").at(-2)).toMatch(/Cancelled: no output was left half written\.$/);
    expect(stderr).not.toContain("    at ");
    expect(folder.files()).toEqual([]);
    expect(performance.now() - started).toBeLessThan(30_000);
  });

  test("is an error object with --json", async () => {
    const { code, stdout } = await halftone(quantize("cancelled", "--json"), { terminal: true, interrupt: { after: "calibrate" } });
    expect(code).toBe(1);
    expect(JSON.parse(stdout).error.code).toBe("CANCELLED");
  });
});

test("errors are objects on stdout with --json", async () => {
  const { code, stdout, stderr } = await halftone(["inspect", "missing.onnx", "--json"]);
  expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
  expect(JSON.parse(stdout)).toEqual({
    error: { code: "FILE_UNREADABLE", place: "missing.onnx", found: "nothing", expected: "a readable file", hint: "Check the path." },
  });
});

test("a file is written whole or not at all", async () => {
  const own = mkdtempSync(join(tmpdir(), "halftone-whole-"));
  onTestFinished(() => rmSync(own, { recursive: true }));
  await writeWhole(join(own, "a.txt"), "first");
  await writeWhole(join(own, "a.txt"), "second");
  // A folder of that name cannot be replaced: the temporary file is taken away again.
  await expect(writeWhole(own, "third")).rejects.toThrow(/found .*, expected a place to write to/);
  expect(readdirSync(own)).toEqual(["a.txt"]);
  expect(readdirSync(tmpdir()).filter((name) => name.startsWith("halftone-whole-") && name.includes("partial"))).toEqual([]);
});

test("durations and tables read well", () => {
  expect([0.04, 9.94, 10.4, 89, 125].map(duration)).toEqual(["0.0 s", "9.9 s", "10 s", "89 s", "2 min 5 s"]);
  expect(
    table(
      ["name", "bytes"],
      [
        ["a", 5],
        ["long", 1234],
      ],
    ),
  ).toBe("name  bytes\na         5\nlong   1234");
});
