// One run, from the table to an integer program and what became of it.
import {
  chooseMethod,
  evaluate,
  type Executor,
  lower,
  type PartStore,
  type Plan,
  type Progress,
  type Quantized,
  quantize,
  type QuantizeOptions,
  withGolden,
  writePlan,
} from "halftone";
import { codeHistogram, compareAnswers, layerRows, measureDrift, Twins } from "halftone/report";
import type { Choices, LayerCard, Outcome, Stage, Step, TrialSample } from "../protocol.ts";
import { pictureOf } from "./pictures.ts";
import type { Table } from "./table.ts";

/** What downloads are made of. */
export interface Product {
  readonly table: Table;
  readonly quantized: Quantized;
  readonly plan: Plan;
  readonly file: Uint8Array;
  readonly outcome: Outcome;
}

export interface Work {
  readonly executor: Executor;
  readonly signal: AbortSignal;
  readonly checkpoints?: PartStore | undefined;
  readonly resumedParts: () => number;
  readonly onStep: (step: Omit<Step, "seconds">) => void;
}

/** As in the written report. */
const driftSamples = 8;
const comparedSamples = 96;
const shownSamples = 24;

/** A page's choices as the library's options. Cells that a method does not have stay out. */
export function optionsOf({ iterations, minutes, ...choices }: Choices): Partial<QuantizeOptions> {
  const row = chooseMethod({ method: choices.method, learning: {}, floatActivations: false });
  if (row.network) return { ...choices, learning: { budget: 60 * minutes } };
  return { ...choices, learning: !row.gram && row.schedule.iterations > 0 ? { iterations } : {} };
}

export async function run(table: Table, choices: Choices, work: Work): Promise<Product> {
  const { model, name, preprocessing, labels } = table;
  const { executor, signal, onStep } = work;
  const started = performance.now();
  const whole = async <T>(stage: Stage, make: () => T | Promise<T>): Promise<T> => {
    onStep({ stage, done: 0, total: 1 });
    const made = await make();
    onStep({ stage, done: 1, total: 1 });
    return made;
  };

  const { dataset } = table.calibration;
  let part: string | undefined;
  let learning = false;
  const onProgress = (progress: Progress): void => {
    const note = { reconstruct: part, whole: "as a whole" }[progress.stage];
    // Learning the network as a whole follows the rounding of its layers.
    const stage = progress.stage === "whole" ? "reconstruct" : progress.stage;
    learning ||= stage === "reconstruct";
    onStep({ ...progress, stage, note });
  };
  const quantized = await quantize({ model, name, dataset, preprocessing, labels }, optionsOf(choices), {
    executor,
    signal,
    onProgress,
    checkpoints: work.checkpoints,
    onPart(_, index, parts) {
      part = index + 1 < parts ? `part ${index + 2} of ${parts}` : undefined;
    },
  });
  // Methods without steps of their own have rounded by now.
  if (!learning) onStep({ stage: "reconstruct", done: 1, total: 1 });
  const plan = await whole("lower", () => withGolden(lower(quantized)));
  const file = await writePlan(plan);

  const tested = (table.test ?? table.calibration).dataset;
  const evaluation = await evaluate(file, tested, { against: model, preprocessing, executor, signal, onProgress });

  const { layers, samples } = await whole("compare", async () => {
    const twins = await Twins.open(model, plan, preprocessing, signal);
    try {
      const raws = await tested.read(0, Math.min(comparedSamples, tested.length));
      const rows = layerRows(plan, await measureDrift(twins, raws.slice(0, driftSamples)));
      const compared = (await compareAnswers(twins, raws)).slice(0, shownSamples);
      const samples = compared.map(async ({ raw, float, integer }): Promise<TrialSample> => {
        return { picture: await pictureOf(raw), index: raws.indexOf(raw), label: raw.label, float, integer };
      });
      return {
        samples: await Promise.all(samples),
        layers: rows.map((row): LayerCard => {
          const weight = row.nodes.map((node) => quantized.weights.get(node)).find((each) => each);
          return { ...row, codes: weight && codeHistogram(weight) };
        }),
      };
    } finally {
      twins.close();
    }
  });
  const outcome: Outcome = {
    hash: await sha256(file),
    planBytes: file.length,
    evaluation,
    heldBack: table.test !== undefined,
    layers,
    samples,
    workers: executor.workers,
    seconds: (performance.now() - started) / 1000,
    resumedParts: work.resumedParts(),
  };
  return { table, quantized, plan, file, outcome };
}

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
