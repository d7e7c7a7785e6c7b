import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { calibration, halftone, inProcess, pixels, start, temporaryFolder, tiny } from "./halftone.ts";

const folder = temporaryFolder();
const quantize = (name: string): string[] => [
  ...["quantize", tiny, "--data", calibration, ...pixels, "--samples", "16", "--weights", "int3", "--workers", "0"],
  ...["--method", "adaround", "--iterations", "20", "--batch", "8", "-o", folder.path(`${name}.halftone`)],
];
const partsIn = (name: string): string[] => {
  const path = folder.path(`${name}.parts`);
  return existsSync(path) ? readdirSync(path, { recursive: true, encoding: "utf8" }).filter((file) => /part/.test(file)) : [];
};

test.for(["SIGINT", "SIGTERM"] as const)(
  "%s keeps what is learned, says where, and the same command continues to the same bytes",
  async (signal) => {
    await inProcess(quantize("whole"));
    const running = start(quantize(signal));
    while (partsIn(signal).length < 2 && running.child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
    running.child.kill(signal);
    const { code, stderr } = await running.outcome;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(`^Stopped: what is learned is kept in .*/${signal}\\.parts/[0-9a-f]{12}\\. The same command continues\\.\n$`),
    );
    expect(partsIn(signal).length).toBeGreaterThanOrEqual(2);
    expect(folder.files()).not.toContain(`${signal}.halftone`);

    expect((await halftone(quantize(signal))).code).toBe(0);
    expect(readFileSync(folder.path(`${signal}.halftone`))).toEqual(readFileSync(folder.path("whole.halftone")));
    expect(folder.files().filter((file) => file.endsWith(".parts"))).toEqual([]);
  },
);
