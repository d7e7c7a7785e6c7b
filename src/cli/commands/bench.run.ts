import { HalftoneError } from "../../errors.ts";
import { createEngine } from "../../engine/index.ts";
import { prepare } from "../../graph/prepare.ts";
import type { Tensor } from "../../graph/types.ts";
import { readModel } from "../../onnx/read.ts";
import { createSession, type Session } from "../../runtime/index.ts";
import { profileRows } from "../../report/profile.ts";
import { inFile, kindOf, openModel } from "../models.ts";
import { bytes, guarded, printJson, say, table } from "../terminal.ts";
import type { BenchFlags } from "./bench.ts";

interface Contender {
  readonly file: string;
  readonly memory: number;
  /** One sample. */
  once(): void;
}

/** At least this many milliseconds of calls a round, so that the clock's grain does not count. */
const leastRound = 5;

export const run = (flags: BenchFlags, path: string): Promise<void> =>
  guarded(flags, async (signal) => {
    if (flags.rounds < 1) throw new HalftoneError("OPTION_INVALID", "--rounds", String(flags.rounds), "1 or more");
    const files = flags.against === undefined ? [path] : [path, flags.against];
    if (flags.layers) return layers(flags, path);
    const contenders = await Promise.all(files.map((file) => inFile(file, () => open(file))));
    const repeats = contenders.map(warmUp);
    const times: number[][] = contenders.map(() => []);
    for (let round = 0; round < flags.rounds && !signal.aborted; round++) {
      for (const [i, contender] of contenders.entries()) {
        const started = performance.now();
        for (let k = 0; k < repeats[i]!; k++) contender.once();
        times[i]!.push((performance.now() - started) / repeats[i]!);
      }
    }
    const results = contenders.map(({ file, memory }, i) => {
      const sorted = times[i]!.toSorted((a, b) => a - b);
      return { file, bestMs: sorted[0]!, medianMs: sorted[Math.floor(sorted.length / 2)]!, memory };
    });
    const ratio = results[1] && results[1].medianMs / results[0]!.medianMs;
    if (flags.json) return printJson({ results, ratio });
    const rows = results.map(({ file, bestMs, medianMs, memory }) => [file, bestMs.toFixed(3), medianMs.toFixed(3), bytes(memory)]);
    process.stdout.write(`${table(["file", "best ms", "median ms", "linear memory"], rows)}\n`);
    if (ratio !== undefined) say("ratio", `${path} takes 1/${ratio.toFixed(2)} of the time of ${flags.against}`);
  });

async function open(file: string): Promise<Contender> {
  const content = await openModel(file, "float", "integer");
  if (kindOf(file) === "float") {
    const engine = await createEngine(prepare(readModel(content)));
    const feeds = new Map(engine.graph.inputs.map((name) => [name, ramp(engine.graph.facts.get(name)?.dims)] as const));
    engine.run(feeds);
    return { file, memory: engine.memory.buffer.byteLength, once: () => void engine.run(feeds) };
  }
  const session = await createSession(content);
  const inputs = codesFor(session);
  return { file, memory: session.bytes.total, once: () => void session.run(inputs) };
}

function codesFor({ plan }: Session): Record<string, Int8Array> {
  const size = (i: number): number => plan.values[i]!.dims.reduce((product, d) => product * d, 1);
  return Object.fromEntries(plan.inputs.map((i) => [plan.values[i]!.name, Int8Array.from({ length: size(i) }, (_, k) => (k * 37) & 127)]));
}

async function layers(flags: BenchFlags, path: string): Promise<void> {
  const session = await createSession(await openModel(path, "integer"));
  const times = session.profile(codesFor(session), flags.rounds + 5);
  const total = times.reduce((sum, t) => sum + t, 0);
  const steps = profileRows(session.plan, times);
  if (flags.json) return printJson({ file: path, totalMs: total, steps });
  const rows = steps.map(({ step, kernel, nodes, output, ms, gops }) => [
    `${step}`,
    kernel,
    nodes.join(" + "),
    output.join("×"),
    ms.toFixed(3),
    `${((100 * ms) / total).toFixed(1)} %`,
    gops === undefined ? "" : gops.toFixed(1),
  ]);
  process.stdout.write(`${table(["step", "kernel", "nodes", "output", "best ms", "share", "GOP/s"], rows)}\n`);
  say("sum", `${total.toFixed(3)} ms`);
}

function ramp(dims: readonly (number | string)[] | undefined): Tensor {
  const concrete = (dims ?? []).map((d) => (typeof d === "string" ? 1 : d));
  const length = concrete.reduce((product, d) => product * d, 1);
  return { dtype: "float32", dims: concrete, data: Float32Array.from({ length }, (_, k) => ((k * 37) & 127) / 64 - 1) };
}

/** Calls until optimised code runs; returns how many calls make a round. */
function warmUp(contender: Contender): number {
  const started = performance.now();
  let calls = 0;
  while (performance.now() - started < 300 || calls < 3) {
    contender.once();
    calls++;
  }
  return Math.max(1, Math.ceil(leastRound / ((performance.now() - started) / calls)));
}
