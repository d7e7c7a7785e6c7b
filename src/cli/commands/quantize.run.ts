import { basename } from "node:path";
import { HalftoneError, throwIfAborted } from "../../errors.ts";
import { type Evaluation, evaluate } from "../../evaluate.ts";
import { lower } from "../../lower/lower.ts";
import { hardenedGraph } from "../../onnx/hardened.ts";
import { toQdq } from "../../onnx/qdq.ts";
import { writeModel } from "../../onnx/write.ts";
import { writePlan } from "../../plan/writer.ts";
import { withGolden } from "../../runtime/record.ts";
import { checkIntegerForm } from "../../integer-form.ts";
import { quantize } from "../../quantize.ts";
import type { QuantizeOptions } from "../../quantized/options.ts";
import type { Quantized } from "../../quantized/types.ts";
import { constantBytesOf } from "../../report/layers.ts";
import { chooseMethod } from "../../reconstruct/choose.ts";
import { createExecutor, defaultWorkers } from "../../tasks/index.ts";
import { type KeptParts, keepParts } from "../kept.ts";
import { hasPreprocessing, openData, readPreprocessing } from "../data-flags.ts";
import { prepareFolder, readLabels, writeWhole } from "../files.ts";
import { inFile, kindOf, openModel } from "../models.ts";
import { PartLog } from "../parts.ts";
import { pixelErrors, pixelLine } from "../pixels.ts";
import { chosenOptions, readRecipe } from "../recipe.ts";
import { bytes, cancelled, count, duration, guarded, percent, printJson, ProgressBar, say } from "../terminal.ts";
import type { QuantizeFlags } from "./quantize.ts";

export const run = (flags: QuantizeFlags, path: string): Promise<void> => {
  let kept: KeptParts | undefined;
  const stopped = (): string =>
    kept?.count() ? `Stopped: what is learned is kept in ${kept.folder}. The same command continues.` : cancelled;
  const body = async (signal: AbortSignal): Promise<void> => {
    const started = performance.now();
    const recipe = flags.recipe ? await readRecipe(flags.recipe) : {};
    const options = chosenOptions(flags, recipe);
    checkOutputs(flags, options.exclude);
    const model = await openModel(path, "float");
    const dataset = await openData(flags.data, flags.labelOffset);
    const preprocessing = hasPreprocessing(flags) || !recipe.preprocessing ? await readPreprocessing(flags, dataset) : recipe.preprocessing;
    const labels = flags.labels ? await readLabels(flags.labels) : dataset.classes;
    for (const output of [...flags.output, ...(flags.report ? [flags.report] : [])]) await prepareFolder(output);
    const wantsPlan = flags.output.some(isPlan) || flags.test !== undefined;
    const executor = await createExecutor({ workers: flags.workers ?? defaultWorkers() });
    const bar = new ProgressBar();
    const log = new PartLog(flags.json, bar);
    const work = { signal, executor, onProgress: log.onProgress, seed: options.seed };
    const print = flags.json ? (): void => {} : say;
    try {
      print("model", `${path} · ${bytes(model.length)}`);
      if (wantsPlan) await inFile(path, () => checkIntegerForm(model, options));
      print("data", `${flags.data} · ${Math.min(options.samples, dataset.length)} of ${count(dataset.length)} samples to calibrate on`);
      const identity = { model, dataset, samples: options.samples, options: { ...options, preprocessing } };
      if (hasParts(options)) kept = await keepParts(flags.checkpoints, flags.output[0]!, identity);
      const quantized = await quantize({ model, name: basename(path), dataset, preprocessing, labels }, options, {
        ...work,
        checkpoints: kept?.store,
        onPart: log.onPart,
      });
      bar.stop();
      const planned = chooseMethod(options).network?.budget;
      if (planned !== undefined && options.learning.iterations === undefined) {
        const taken = duration((performance.now() - started) / 1000);
        print("budget", `${taken} taken · steps planned for ${duration(planned)} of two processors`);
      }
      print("graph", `${quantized.graph.nodes.length} operators after folding · ${count(parametersOf(quantized))} parameters`);
      print(
        "ranges",
        `${quantized.provenance.options.ranges} over ${quantized.activations.size} activations · ${duration((performance.now() - started) / 1000)}`,
      );
      print("weights", `${quantized.weights.size} layers · int${options.weights} per ${options.granularity} · ${options.method}`);

      const plan = wantsPlan ? await withGolden(await inFile(path, () => lower(quantized, { residual: options.residual }))) : undefined;
      const planBytes = plan && (await writePlan(plan));
      if (plan)
        print(
          "program",
          `${plan.steps.length} integer steps · ${bytes(constantBytesOf(plan, plan.steps))} of constants · ${bytes(plan.arenaBytes)} of activations`,
        );

      const pixels = plan?.pixels ? await pixelErrors(model, plan, dataset, preprocessing, signal) : undefined;
      if (pixels) print("input", pixelLine(pixels));

      let accuracy: Evaluation | undefined;
      if (flags.test && planBytes) {
        const test = await openData(flags.test, flags.labelOffset);
        accuracy = await evaluate(planBytes, test, { against: model, limit: flags.limit, preprocessing, ...work });
        bar.stop();
        const { against } = accuracy;
        print("test", `${flags.test} · ${count(accuracy.samples)} samples held back`);
        if (against?.top1 !== undefined) print("float", `top-1 ${percent(against.top1)}`);
        if (accuracy.top1 !== undefined) print("integer", `top-1 ${percent(accuracy.top1)}`);
        print("agreement", `${percent(accuracy.agreement!)} of answers equal · logits at ${accuracy.logitSqnrDb!.toFixed(1)} dB`);
      }
      let floatAccuracy: Evaluation | undefined;
      if (flags.test && options.floatActivations) {
        const test = await openData(flags.test, flags.labelOffset);
        const hardened = writeModel(hardenedGraph(quantized));
        floatAccuracy = await evaluate(hardened, test, { against: model, limit: flags.limit, preprocessing, ...work });
        bar.stop();
        const top1 = floatAccuracy.top1 === undefined ? "" : `top-1 ${percent(floatAccuracy.top1)} · `;
        print("weights alone", `${top1}${percent(floatAccuracy.agreement!)} of answers equal (quantized weights in the float engine)`);
      }

      const written: { path: string; bytes: number }[] = [];
      const write = async (file: string, content: Uint8Array | string): Promise<void> => {
        throwIfAborted(signal, file);
        await writeWhole(file, content);
        written.push({ path: file, bytes: typeof content === "string" ? new TextEncoder().encode(content).length : content.length });
        print("wrote", `${file} · ${bytes(written.at(-1)!.bytes)}`);
      };
      for (const output of flags.output) await write(output, isPlan(output) ? planBytes! : writeModel(toQdq(quantized)));
      await write(
        `${flags.output[0]!.replace(/\.(halftone|onnx)$/, "")}.recipe.json`,
        `${JSON.stringify({ ...options, preprocessing }, null, 2)}\n`,
      );
      if (flags.report) {
        const { writeReport } = await import("../../report/report.ts");
        await write(
          flags.report,
          await writeReport({
            quantized,
            plan,
            model,
            accuracy,
            dataset: flags.test ? await openData(flags.test, flags.labelOffset) : dataset,
            preprocessing,
            planBytes: planBytes?.length,
            partSeconds: log.parts.map(({ seconds }) => seconds),
            signal,
          }),
        );
      }
      await kept?.clear();
      const seconds = (performance.now() - started) / 1000;
      const peakBytes = process.resourceUsage().maxRSS * 1024;
      print("time", `${duration(seconds)} with ${executor.workers} ${executor.workers === 1 ? "worker" : "workers"}`);
      if (flags.json)
        printJson({
          model: path,
          options,
          samples: Math.min(options.samples, dataset.length),
          accuracy,
          floatAccuracy,
          pixels,
          parts: log.parts,
          written,
          seconds,
          peakBytes,
        });
    } finally {
      bar.stop();
      if (kept?.count() === 0) await kept.clear();
      await executor.close();
    }
  };
  return guarded(flags, body, stopped);
};

/** Whether it takes long enough to be stopped in the middle: learned or rounded part by part. */
function hasParts(options: QuantizeOptions): boolean {
  const { parametrization, gram, network } = chooseMethod(options);
  return parametrization !== "nearest" || gram !== undefined || network !== undefined;
}

const isPlan = (path: string): boolean => kindOf(path) === "integer";

function checkOutputs({ output, test }: QuantizeFlags, exclude: readonly string[]): void {
  const unknown = output.find((path) => !kindOf(path));
  if (unknown !== undefined)
    throw new HalftoneError(
      "OPTION_INVALID",
      `--output ${unknown}`,
      "another extension",
      ".halftone (an integer program) or .onnx (a QDQ file)",
    );
  const program = output.some(isPlan) ? `--output ${output.find(isPlan)}` : test && `--test ${test}`;
  if (exclude.length > 0 && program)
    throw new HalftoneError(
      "OPTION_INVALID",
      `--exclude ${exclude.join(" ")}`,
      `${program}, which asks for an integer program`,
      "a QDQ file (.onnx) alone",
      "An integer program has no float layers: nothing can be left out of it.",
    );
}

const parametersOf = (quantized: Quantized): number =>
  [...quantized.graph.constants.values()].reduce((sum, { dtype, data }) => sum + (dtype === "float32" ? data.length : 0), 0);
