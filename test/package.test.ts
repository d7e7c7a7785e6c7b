// The package as users get it: what 'npm pack' puts into it, whether its types resolve, and whether it runs where it was unpacked.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { beforeAll, expect, test } from "vitest";
import { bytesAt } from "./runtime/bundle.ts";
import { pathToFileURL } from "node:url";

const root = join(import.meta.dirname, "..");
const folder = join(root, "build/package");
const installed = join(folder, "node_modules/halftone");

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}
let packed: Packed;
let tarball: Uint8Array;

beforeAll(() => {
  if (!existsSync(join(root, "dist/runtime.js"))) throw new Error("dist/ is not built: npm run build, which npm test does first");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(installed, { recursive: true });
  const answer = execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], { cwd: root, encoding: "utf8" });
  [packed] = JSON.parse(answer) as [Packed];
  tarball = bytesAt(pathToFileURL(join(folder, packed.filename)));
  execFileSync("tar", ["-xzf", join(folder, packed.filename), "-C", installed, "--strip-components=1"]);
  // What npm would install beside it.
  const { dependencies } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as { dependencies: Record<string, string> };
  for (const name of Object.keys(dependencies)) {
    const at = join(folder, "node_modules", name);
    mkdirSync(join(at, ".."), { recursive: true });
    symlinkSync(join(root, "node_modules", name), at);
  }
});

test("is below 1 MB, and holds neither tests nor data", () => {
  expect(packed.size).toBeLessThan(1_000_000);
  const paths = packed.files.map(({ path }) => path);
  expect(paths.filter((path) => !/^(dist\/|LICENSE$|README\.md$|package\.json$)/.test(path))).toEqual([]);
  expect(paths.filter((path) => /(^|\/)(test|bench|fixtures|golden)\/|\.(onnx|halftone|gz|npy|png|jpe?g)$/.test(path))).toEqual([]);
  for (const kernels of ["dist/integer.wasm", "dist/integer-threads.wasm", "dist/build/float.wasm"]) expect(paths).toContain(kernels);
});

test("publint has nothing to say", async () => {
  const { messages, pkg } = await publint({ pack: { tarball: tarball.buffer as ArrayBuffer }, strict: true });
  expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
});

test("types resolve for every entry point of an ES module", async () => {
  const result = await checkPackage(createPackageFromTarballData(tarball), { excludeEntrypoints: ["./integer.wasm", "./float.wasm"] });
  if (!result.types) throw new Error("the package has no types");
  // CommonJS gets it by import() alone, as every package that is ESM only.
  const ofModules = result.problems.filter(
    (problem) => !("resolutionKind" in problem) || ["node16-esm", "bundler"].includes(problem.resolutionKind),
  );
  expect(ofModules).toEqual([]);
  expect(Object.keys(result.entrypoints)).toEqual([".", "./runtime", "./report"]);
});

test("runs where it was unpacked", () => {
  const program = `
    import { readModel, prepare, presets } from "halftone";
    import { createSession } from "halftone/runtime";
    const session = await createSession(${JSON.stringify(join(root, "test/fixtures/version-1.halftone"))});
    console.log(typeof readModel, typeof prepare, Object.keys(presets).length > 5, session.plan.version, session.verify());`;
  const run = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
  expect(run("--input-type=module", "-e", program)).toMatchObject({ status: 0, stderr: "", stdout: "function function true 1 2\n" });
  const help = run(join(installed, "dist/src/cli/main.js"), "--help");
  expect(help.status).toBe(0);
  expect(help.stdout).toMatch(/quantize[\s\S]*evaluate[\s\S]*inspect/);
  expect(readdirSync(installed).sort()).toEqual(["LICENSE", "README.md", "dist", "package.json"]);
});

test("every export has its line in the API reference", () => {
  const typedoc = join(root, "node_modules/typedoc/bin/typedoc");
  const { status, stdout, stderr } = spawnSync(process.execPath, [typedoc, "--emit", "none"], { cwd: root, encoding: "utf8" });
  expect(status, stdout + stderr).toBe(0);
});
