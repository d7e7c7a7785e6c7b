// ONNX's own node tests: a model, its inputs and its outputs, each a file.
import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync } from "fflate";
import type { Graph, Tensor } from "../../src/graph/types.ts";
import { readModel } from "../../src/onnx/read.ts";
import { readTensor } from "../../src/onnx/tensor.ts";
import { dataDir } from "../data.ts";
import { untar } from "../tar.ts";

type Files = ReadonlyMap<string, Uint8Array>;

export interface NodeCase {
  readonly name: string;
  /** Paths below the case: model.onnx, test_data_set_0/input_0.pb … */
  readonly files: Files;
}

function grouped(files: Files): NodeCase[] {
  const cases = new Map<string, Map<string, Uint8Array>>();
  for (const [path, bytes] of files) {
    const [, name, rest] = /^node\/([^/]+)\/(.+)$/.exec(path) ?? [];
    if (!name || !rest) continue;
    if (!cases.has(name)) cases.set(name, new Map());
    cases.get(name)!.set(rest, bytes);
  }
  return [...cases].map(([name, group]) => ({ name, files: group })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** All cases of the archive in the data folder; none without it. */
export function archivedCases(): NodeCase[] {
  return dataDir ? grouped(untar(gunzipSync(readFileSync(`${dataDir}/onnx-node-tests.tar.gz`)))) : [];
}

/** The few cases kept in the repository. */
export function keptCases(): NodeCase[] {
  const root = new URL("../fixtures/node/", import.meta.url);
  const paths = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return grouped(
    new Map(
      paths.map((entry) => {
        const path = `${entry.parentPath}/${entry.name}`;
        return [`node/${path.slice(path.indexOf("fixtures/node/") + "fixtures/node/".length)}`, new Uint8Array(readFileSync(path))];
      }),
    ),
  );
}

export type Run = (graph: Graph, feeds: ReadonlyMap<string, Tensor>) => Promise<Map<string, Tensor>>;

/** Runs every data set of a case; returns the first difference in words, or undefined. Throws what the reader or the run throws. */
export async function differenceOf({ files }: NodeCase, run: Run): Promise<string | undefined> {
  const graph = readModel(files.get("model.onnx")!, { float16: "keep" });
  for (let set = 0; files.has(`test_data_set_${set}/output_0.pb`); set++) {
    const tensor = (kind: string, i: number): Tensor => readTensor(files.get(`test_data_set_${set}/${kind}_${i}.pb`)!);
    const feeds = new Map(graph.inputs.map((name, i) => [name, tensor("input", i)]));
    const outputs = await run(graph, feeds);
    for (const [i, name] of graph.outputs.entries()) {
      const found = difference(outputs.get(name)!, tensor("output", i));
      if (found) return `${name}: ${found}`;
    }
  }
  return undefined;
}

/** |got − expected| ≤ 10⁻⁵ + 10⁻³ |expected| for floats (10⁻² for halves), everything else exactly: the archive's own tolerances. */
export function difference(got: Tensor, expected: Tensor): string | undefined {
  if (got.dtype !== expected.dtype) return `${got.dtype} instead of ${expected.dtype}`;
  if (got.dims.join() !== expected.dims.join()) return `[${got.dims}] instead of [${expected.dims}]`;
  if (got.data.length !== expected.data.length) return `${got.data.length} elements instead of ${expected.data.length}`;
  const isFloat = got.dtype.includes("float");
  const relative = got.dtype === "float16" || got.dtype === "bfloat16" ? 1e-2 : 1e-3;
  for (let i = 0; i < got.data.length; i++) {
    const [a, b] = [got.data[i]!, expected.data[i]!];
    const close = isFloat && Math.abs(Number(a) - Number(b)) <= 1e-5 + relative * Math.abs(Number(b));
    if (!Object.is(a, b) && a !== b && !close) return `element ${i} is ${a} instead of ${b}`;
  }
  return undefined;
}
