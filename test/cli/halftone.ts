import { type ChildProcess, spawn } from "node:child_process";
import { main as runMain } from "../../src/cli/app.ts";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect } from "vitest";

const main = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Spawned {
  /** Milliseconds until an interrupt (Ctrl-C) is sent, or a text on stderr that it waits for. */
  readonly interrupt?: { readonly after: string } | undefined;
  /** Tells the command that stderr is a terminal. */
  readonly terminal?: boolean | undefined;
}

const pretendTerminal = "data:text/javascript,Object.defineProperty(process.stderr,'isTTY',{value:true})";

/** Runs the built command as a user does: a process of its own. */
export function halftone(args: readonly string[], { interrupt, terminal }: Spawned = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...(terminal ? ["--import", pretendTerminal] : []), main, ...args]);
    let stdout = "";
    let stderr = "";
    let interrupted = false;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      if (interrupt && !interrupted && stderr.includes(interrupt.after)) {
        interrupted = true;
        child.kill("SIGINT");
      }
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

/** Starts the built command; the caller decides how it ends. */
export function start(args: readonly string[]): { readonly child: ChildProcess; readonly outcome: Promise<Outcome> } {
  const child = spawn(process.execPath, [main, ...args]);
  const written = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      written[stream] += text;
    });
  }
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...written }));
  });
  return { child, outcome };
}

/** Runs the command in this process: for many small cases, which would be dear as processes of their own. One at a time. */
export async function inProcess(args: readonly string[]): Promise<Outcome> {
  const written = { stdout: "", stderr: "" };
  const streams = ["stdout", "stderr"] as const;
  const originals = streams.map((stream) => process[stream].write);
  const { exitCode } = process;
  for (const stream of streams) {
    process[stream].write = (text: string | Uint8Array): boolean => {
      written[stream] += String(text);
      return true;
    };
  }
  try {
    process.exitCode = 0;
    await runMain(args);
    return { code: Number(process.exitCode), ...written };
  } finally {
    for (const [i, stream] of streams.entries()) process[stream].write = originals[i]!;
    process.exitCode = exitCode;
  }
}

/** The one JSON object that a command prints, which succeeds and says nothing else. */
export async function json(args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await halftone([...args, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.trimEnd().split("\n")).toHaveLength(1);
  return JSON.parse(stdout);
}

/** Text of a command that succeeds. */
export async function text(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await halftone(args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

/** A folder for a test file, removed after it. */
export function temporaryFolder(): { path(name: string): string; files(): string[] } {
  const folder = mkdtempSync(join(tmpdir(), "halftone-cli-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return { path: (name) => join(folder, name), files: () => readdirSync(folder).toSorted() };
}

const example = (name: string): string => fileURLToPath(new URL(`../../examples/fashion/${name}`, import.meta.url));

export const tiny: string = fileURLToPath(new URL("../fixtures/tiny.onnx", import.meta.url));
export const resnet: string = example("resnet20.onnx");
export const labels: string = example("labels.txt");
export const calibration: string = example("calibration-images-idx3-ubyte.gz");
export const unlabelled: string = example("test-images-idx3-ubyte.gz");
export const held: string = `${unlabelled},${example("test-labels-idx1-ubyte.gz")}`;
export const pixels: readonly string[] = ["--mean", "0.2860", "--std", "0.3530"];
