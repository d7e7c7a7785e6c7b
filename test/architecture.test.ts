// The arrows of docs/architecture.md, checked: rooms import downwards only, and no file imports itself in a circle.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");

/** What each room may import besides itself and errors.ts. "index" is the files directly in src/. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  graph: ["ops"],
  formats: ["graph"],
  ops: ["graph", "formats", "engine"],
  plan: ["formats"],
  runtime: ["plan"],
  engine: ["ops", "graph"],
  ranges: ["engine", "ops", "formats", "graph"],
  quantized: ["ops", "formats", "graph", "data"],
  onnx: ["quantized", "ops", "formats", "graph"],
  data: ["ops", "graph"],
  reconstruct: ["ranges", "engine", "quantized", "data", "ops", "formats", "graph"],
  lower: ["quantized", "plan", "ops", "formats", "graph"],
  tasks: ["reconstruct", "onnx", "data", "quantized", "ranges", "engine", "runtime", "plan", "ops", "graph"],
  report: ["lower", "onnx", "data", "quantized", "plan", "runtime", "engine", "formats", "graph"],
  index: [
    "report",
    "reconstruct",
    "lower",
    "onnx",
    "data",
    "tasks",
    "ranges",
    "engine",
    "quantized",
    "plan",
    "runtime",
    "ops",
    "formats",
    "graph",
  ],
  sweep: ["index", "report", "reconstruct", "lower", "onnx", "data", "tasks", "ranges", "quantized", "plan", "runtime", "graph"],
  cli: [
    "sweep",
    "index",
    "report",
    "reconstruct",
    "lower",
    "onnx",
    "data",
    "tasks",
    "ranges",
    "engine",
    "quantized",
    "plan",
    "runtime",
    "ops",
    "formats",
    "graph",
  ],
  workers: ["sweep", "tasks"],
};

/** Types may be borrowed from these without an arrow: they are the contracts between rooms. */
const contracts = new Set([
  "src/data/types.ts",
  "src/engine/types.ts",
  "src/engine/kernels.ts",
  "src/tasks/types.ts",
  "src/evaluate.ts",
  "src/ops/operator.ts",
]);

const files = ["src", "workers"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name)),
);

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

const imports: Import[] = files.flatMap((from) =>
  [...readFileSync(join(root, from), "utf8").matchAll(/^(?:import|export)\s+(type\s)?[^;]*?from\s+"(\.[^"]+)"/gms)].map(
    ([, type, path]) => ({
      from,
      to: relative(root, join(root, dirname(from), path!)),
      typeOnly: type !== undefined,
    }),
  ),
);

const roomOf = (file: string): string => {
  const [top, room, deeper] = file.split("/");
  return top === "workers" ? "workers" : deeper === undefined ? (room === "errors.ts" ? "errors" : "index") : room!;
};

test("rooms import only what stands below them", () => {
  const wrong = imports
    .filter(({ from, to, typeOnly }) => {
      const [here, there] = [roomOf(from), roomOf(to)];
      if (here === there || there === "errors" || to.startsWith("build/")) return false;
      return !allowed[here]?.includes(there) && !(typeOnly && contracts.has(to));
    })
    .map(({ from, to }) => `${from} → ${to}`);
  expect(wrong).toEqual([]);
});

test("no file imports itself in a circle", () => {
  const targets = new Map<string, string[]>();
  for (const { from, to, typeOnly } of imports) if (!typeOnly) targets.set(from, [...(targets.get(from) ?? []), to]);
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(" → "));
    else if (!done.has(file)) {
      for (const next of targets.get(file) ?? []) visit(next, [...path, file]);
      done.add(file);
    }
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});

test("only the command line imports node modules at the top of a file", () => {
  const wrong = files.filter(
    (file) => !file.startsWith("src/cli/") && /^import[^;]*from "node:/m.test(readFileSync(join(root, file), "utf8")),
  );
  expect(wrong).toEqual([]);
});

test("arithmetic that differs between engines stays out of everything that can reach a plan", () => {
  const forbidden =
    /Math\.(exp|expm1|log|log1p|log2|log10|pow|sin|cos|tan|tanh|sinh|cosh|asin|acos|atan2?|cbrt|hypot)\b|(?<!\b2 )\*\*[^/*]|\*\* (?!-?\d)/;
  const wrong = files
    .filter((file) => !/^src\/(cli|report)\//.test(file))
    .flatMap((file) =>
      readFileSync(join(root, file), "utf8")
        .split("\n")
        .flatMap((line, i) => (forbidden.test(line) && !/^\s*(\/\/|\*|\/\*\*)/.test(line) ? [`${file}:${i + 1} ${line.trim()}`] : [])),
    );
  expect(wrong).toEqual([]);
});
