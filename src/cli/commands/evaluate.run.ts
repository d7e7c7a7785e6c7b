import { evaluate } from "../../evaluate.ts";
import { createExecutor, defaultWorkers } from "../../tasks/index.ts";
import { hasPreprocessing, openData, readPreprocessing } from "../data-flags.ts";
import { openModel } from "../models.ts";
import { count, guarded, percent, printJson, ProgressBar, say } from "../terminal.ts";
import type { EvaluateFlags } from "./evaluate.ts";

export const run = (flags: EvaluateFlags, path: string): Promise<void> =>
  guarded(flags, async (signal) => {
    const model = await openModel(path, "float", "integer");
    const against = flags.against === undefined ? undefined : await openModel(flags.against, "float", "integer");
    const dataset = await openData(flags.data, flags.labelOffset);
    const preprocessing = hasPreprocessing(flags) ? await readPreprocessing(flags, dataset) : undefined;
    const executor = await createExecutor({ workers: flags.workers ?? defaultWorkers() });
    const bar = new ProgressBar();
    try {
      const { limit, skip } = flags;
      const result = await evaluate(model, dataset, { limit, skip, preprocessing, against, executor, signal, onProgress: bar.report });
      bar.stop();
      if (flags.json) return printJson(result);
      say("samples", `${count(result.samples)} of ${flags.data}`);
      if (result.top1 !== undefined) say("accuracy", `top-1 ${percent(result.top1)} · top-5 ${percent(result.top5!)}`);
      if (result.against)
        say("against", `top-1 ${percent(result.against.top1)} · top-5 ${percent(result.against.top5)} (${flags.against})`);
      if (result.agreement !== undefined)
        say("agreement", `${percent(result.agreement)} of first answers · logits at ${result.logitSqnrDb!.toFixed(1)} dB`);
    } finally {
      bar.stop();
      await executor.close();
    }
  });
