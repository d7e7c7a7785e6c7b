// Every example of examples/ as its reader would run it, on the runtime as it is shipped. Bundlers come with `npm install` in their folder.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { writePlan } from "../../src/plan/writer.ts";
import { createSession } from "../../src/runtime/index.ts";
import { install, missingPackage } from "../examples.ts";
import { bundleRuntime } from "../runtime/bundle.ts";
import { integerModule } from "../runtime/kernels.ts";
import { hasChromium, visit } from "./chromium.mjs";
import { pictureModel } from "./model.ts";

const runtime = await bundleRuntime("test-examples-runtime");
const plan = await pictureModel();
const model = await writePlan(plan);

/** What the page must say: the same picture through a session of the sources. */
async function expected(): Promise<{ label: string; codes: number[]; proved: number }> {
  const session = await createSession(plan, { wasm: await integerModule() });
  const data = Uint8ClampedArray.from({ length: 64 * 64 * 4 }, (_, i) => (i * 37) % 256);
  const { values, codes } = session.run({ width: 64, height: 64, data }).classes!;
  return { label: plan.labels![values.indexOf(Math.max(...values))]!, codes: Array.from(codes), proved: session.verify() };
}

const reporter = `<script type="module">
  const look = () => document.body.textContent.includes('"proved"') && fetch("/result", { method: "POST", body: document.body.textContent });
  addEventListener("error", (event) => fetch("/result", { method: "POST", body: "error: " + event.message }));
  addEventListener("unhandledrejection", (event) => fetch("/result", { method: "POST", body: "rejected: " + event.reason }));
  new MutationObserver(look).observe(document.body, { childList: true });
  look();
</script>`;

async function open(folder: string, isolated: boolean): Promise<unknown> {
  const answer = await visit(
    (url: string) => {
      if (url === "/model.halftone") return model;
      const path = join(folder, url === "/" ? "index.html" : url);
      if (!existsSync(path)) return undefined;
      return url === "/" ? readFileSync(path, "utf8").replace("</title>", `</title>${reporter}`) : readFileSync(path);
    },
    { isolated },
  );
  return answer.startsWith("{") ? JSON.parse(answer) : answer;
}

test("node: a bare module import", () => {
  const folder = install("node", [], runtime);
  const path = join(folder, "model.halftone");
  writeFileSync(path, model);
  const { status, stdout, stderr } = spawnSync(process.execPath, ["classify.mjs", path], { cwd: folder, encoding: "utf8" });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  expect(stdout).toMatch(
    /^2 golden inputs give the same integers here\nclasses \[4, 1, 1\]: largest value -?[\d.]+ \(code -?\d+\) at \d\n$/,
  );
});

interface Row {
  readonly example: string;
  readonly bundler?: string;
  readonly build?: readonly string[];
  /** Folder that is served, in that of the example. */
  readonly served: string;
}

const rows: readonly Row[] = [
  { example: "page", served: "" },
  { example: "vite", bundler: "vite", build: ["node_modules/vite/bin/vite.js", "build", "--logLevel", "error"], served: "dist" },
  { example: "webpack", bundler: "webpack", build: ["build.mjs"], served: "dist" },
  { example: "esbuild", bundler: "esbuild", build: ["build.mjs"], served: "dist" },
];

for (const { example, bundler, build, served } of rows) {
  const missing = bundler !== undefined && missingPackage(example, [bundler]) !== undefined;
  const why = missing ? ` (${bundler} is not installed)` : hasChromium ? "" : " (no Chromium)";
  test.skipIf(missing || !hasChromium)(
    `${example}: the page shows the integers of Node, isolated or not${why}`,
    { timeout: 300_000 },
    async () => {
      const folder = install(example, bundler ? [bundler] : [], runtime);
      if (example === "page") symlinkSync(join(folder, "node_modules/halftone"), join(folder, "halftone"));
      if (build) {
        const { status, stdout, stderr } = spawnSync(process.execPath, build, { cwd: folder, encoding: "utf8" });
        expect(status, stdout + stderr).toBe(0);
      }
      const answer = await expected();
      expect(await open(join(folder, served), false)).toEqual({ ...answer, threads: 1 });
      expect(await open(join(folder, served), true)).toEqual({ ...answer, threads: 2 });
    },
  );
}
