import { join } from "node:path";
import { runsOf, sweep } from "../../sweep/sweep.ts";
import { localExecutor } from "../../sweep/executor.ts";
import { toSvg } from "../../sweep/plot.ts";
import { flat, forPeople, toCsv, toJson, toMarkdown } from "../../sweep/table.ts";
import type { Row } from "../../sweep/types.ts";
import { defaultWorkers } from "../../tasks/index.ts";
import type { Executor } from "../../tasks/types.ts";
import { createQueueExecutor } from "../../tasks/executors/queue.ts";
import { openQueue } from "../queue.ts";
import { prepareFolder, writeWhole } from "../files.ts";
import { arithmeticName, folderStore, Seconds } from "../store.ts";
import { count, duration, exitCodes, guarded, printJson, ProgressBar, say, table } from "../terminal.ts";
import { readPlan } from "./sweep.plan.ts";
import type { SweepFlags } from "./sweep.ts";

/** Each kind of output: a function of the rows alone. */
const outputs: Readonly<Record<string, (rows: readonly Row[]) => string>> = {
  "table.csv": toCsv,
  "table.json": toJson,
  "table.md": toMarkdown,
  "plot.svg": toSvg,
};

export const run = (flags: SweepFlags, path?: string): Promise<void> =>
  guarded(
    flags,
    async (signal) => {
      const started = performance.now();
      const plan = await readPlan(flags, path);
      const runs = runsOf(plan);
      const folder = flags.output;
      await prepareFolder(join(folder, "table.csv"));
      const store = await folderStore(join(folder, "tasks"));
      const seconds = new Seconds(join(folder, "seconds.ndjson"));
      const arithmetic = await arithmeticName();
      const print = flags.json ? (): void => {} : say;
      const { length } = plan.models;
      print("sweep", `${length} ${length === 1 ? "model" : "models"} · ${count(runs)} runs`);
      const executor = await executorFor(flags, arithmetic);
      const bar = new ProgressBar();
      let made = 0;
      try {
        const rows = await sweep(plan, {
          executor,
          store,
          arithmetic,
          signal,
          onProgress: bar.report,
          async keep(task, result, took) {
            await seconds.add(task, took);
            await store.put(task, result);
            made++;
          },
        });
        bar.stop();
        for (const [name, write] of Object.entries(outputs)) await writeWhole(join(folder, name), write(rows));
        const took = await seconds.read();
        const failed = rows.filter(({ outcome }) => "error" in outcome).length;
        if (failed > 0) process.exitCode = exitCodes.failure;
        if (flags.json) {
          printJson({ output: folder, made, failed, rows: rows.map((row) => ({ ...flat(row), seconds: took.get(row.task) })) });
          return;
        }
        const { header, cells } = forPeople(rows);
        const timed = rows.map((row, i) => [...cells[i]!, took.get(row.task)?.toFixed(1) ?? ""]);
        process.stdout.write(`${table([...header, "seconds"], timed)}\n`);
        if (failed > 0) print("failed", `${failed} of ${count(runs)} runs; the reasons are in the last column`);
        print(
          "wrote",
          Object.keys(outputs)
            .map((name) => join(folder, name))
            .join(" · "),
        );
        print("time", `${duration((performance.now() - started) / 1000)} · ${made} tasks done, the others were there`);
      } finally {
        bar.stop();
        await executor.close();
      }
    },
    () => `Stopped: what is finished is kept in ${join(flags.output, "tasks")}. The same command continues.`,
  );

/** Threads of this process, or whoever takes from the queue. */
async function executorFor(flags: SweepFlags, arithmetic: string): Promise<Executor> {
  if (flags.queue === undefined && flags.blobs === undefined) return localExecutor(flags.workers ?? defaultWorkers());
  const { connection, store } = await openQueue(flags);
  const executor = await createQueueExecutor({ connection, store, arithmetic });
  if ((await executor.listening()) === 0) process.stderr.write(`No worker listens yet: halftone worker --queue ${flags.queue}\n`);
  return {
    ...executor,
    async close() {
      await executor.close();
      await connection.close();
    },
  };
}
