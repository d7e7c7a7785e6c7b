import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import type * as DataFlags from "../../src/cli/data-flags.ts";
import type * as Quantize from "../../src/quantize.ts";

const events: string[] = [];

vi.mock("../../src/cli/data-flags.ts", async (original) => {
  const real = await original<typeof DataFlags>();
  return {
    ...real,
    async openData(path: string, offset?: number) {
      const name = path.includes("test-") ? "evaluation" : "calibration";
      events.push(`open ${name}`);
      const dataset = await real.openData(path, offset);
      return {
        ...dataset,
        read(start: number, end: number) {
          if (events.at(-1) !== `read ${name}`) events.push(`read ${name}`);
          return dataset.read(start, end);
        },
      };
    },
  };
});
vi.mock("../../src/quantize.ts", async (original) => {
  const real = await original<typeof Quantize>();
  return {
    ...real,
    async quantize(...call: Parameters<typeof real.quantize>) {
      events.push("quantize");
      const result = await real.quantize(...call);
      events.push("quantized");
      return result;
    },
  };
});

const { run } = await import("../../src/cli/commands/quantize.run.ts");
const folder = mkdtempSync(join(tmpdir(), "halftone-held-back-"));
afterAll(() => rmSync(folder, { recursive: true }));

test.for(["nearest", "auto"] as const)("%s is done before evaluation data is opened", async (method) => {
  events.length = 0;
  const data = join(import.meta.dirname, "../../examples/fashion");
  const log = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  try {
    await run(
      {
        data: join(data, "calibration-images-idx3-ubyte.gz"),
        test: ["test-images-idx3-ubyte.gz", "test-labels-idx1-ubyte.gz"].map((name) => join(data, name)).join(","),
        method,
        ...(method === "auto" && { budget: 0.1 }),
        weights: 4,
        activations: 4,
        samples: 64,
        limit: 16,
        workers: 0,
        labelOffset: 0,
        json: true,
        output: [join(folder, "tiny.halftone")],
      },
      join(import.meta.dirname, "../fixtures/tiny.onnx"),
    );
  } finally {
    log.mockRestore();
  }
  const [first] = events.filter((event) => event.endsWith("evaluation"));
  expect(first).toBe("open evaluation");
  expect(events.indexOf("open evaluation")).toBeGreaterThan(events.indexOf("quantized"));
  expect(events.slice(events.indexOf("quantize"), events.indexOf("quantized"))).toContain("read calibration");
  expect(events).toContain("read evaluation");
});
