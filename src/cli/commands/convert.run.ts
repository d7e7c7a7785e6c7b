import { basename } from "node:path";
import { convert } from "../../convert.ts";
import type { Preprocessing } from "../../data/index.ts";
import { HalftoneError } from "../../errors.ts";
import { lower } from "../../lower/lower.ts";
import type { Plan } from "../../plan/types.ts";
import { writePlan } from "../../plan/writer.ts";
import { withGolden } from "../../runtime/record.ts";
import type { Quantized } from "../../quantized/types.ts";
import { chosenPreprocessing, hasPreprocessing } from "../data-flags.ts";
import { prepareFolder, readLabels, writeWhole } from "../files.ts";
import { inFile, kindOf, openModel } from "../models.ts";
import { bytes, guarded, printJson, say } from "../terminal.ts";
import type { ConvertFlags } from "./convert.ts";

/** What bytes mean where flags say something but not everything. */
const bytesFromZeroToOne: Preprocessing = { scale: 1 / 255, mean: [0], std: [1] };

export const run = (flags: ConvertFlags, path: string): Promise<void> =>
  guarded(flags, async () => {
    if (kindOf(flags.output) !== "integer")
      throw new HalftoneError("OPTION_INVALID", `--output ${flags.output}`, "another extension", ".halftone (an integer program)");
    const started = performance.now();
    const model = await openModel(path, "float");
    const preprocessing = hasPreprocessing(flags) ? await chosenPreprocessing(flags, bytesFromZeroToOne) : undefined;
    const labels = flags.labels ? await readLabels(flags.labels) : undefined;
    await prepareFolder(flags.output);

    const [quantized, plan] = await inFile(path, async () => {
      const quantized = await convert(model, { name: basename(path), preprocessing, labels, cut: flags.cut });
      return [quantized, await withGolden(lower(quantized))] as const;
    });
    const file = await writePlan(plan);
    await writeWhole(flags.output, file);
    const seconds = (performance.now() - started) / 1000;
    const counts = countsOf(quantized, plan);
    if (flags.json) {
      printJson({ model: path, output: flags.output, bytes: file.length, ...counts, seconds });
      return;
    }
    say("model", `${path} · ${bytes(model.length)}`);
    say("codes", `${counts.activations} activations · weights of ${counts.layers} layers · ${counts.biases} biases, as they are`);
    say(
      "program",
      `${counts.steps} integer steps · ${bytes(counts.constantBytes)} of constants · ${bytes(counts.arenaBytes)} of activations`,
    );
    if (!preprocessing) say("input", "real numbers or codes; for bytes, say how: --scale, --mean, --std or --preprocess");
    say("wrote", `${flags.output} · ${bytes(file.length)}`);
  });

interface Counts {
  readonly activations: number;
  readonly layers: number;
  readonly biases: number;
  readonly steps: number;
  readonly constantBytes: number;
  readonly arenaBytes: number;
}

const countsOf = (quantized: Quantized, plan: Plan): Counts => ({
  activations: quantized.activations.size,
  layers: quantized.weights.size,
  biases: quantized.biases?.size ?? 0,
  steps: plan.steps.length,
  constantBytes: [...plan.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
  arenaBytes: plan.arenaBytes,
});
