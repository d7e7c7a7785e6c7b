// The worker that does the page's thinking: opening files, leading the pool of workers, writing what is downloaded. The page only draws.
import { expose } from "comlink";
import {
  createExecutor,
  defaultWorkers,
  type Executor,
  HalftoneError,
  type Preprocessing,
  type RawSample,
  toQdq,
  writeModel,
} from "halftone";
import { writeReport } from "halftone/report";
import type {
  Answer,
  Bench,
  Choices,
  Dropped,
  Opening,
  Outcome,
  Own,
  Product as ProductName,
  Role,
  Step,
  TrialSample,
} from "../protocol.ts";
import { fetchExample, firstChoices } from "./example.ts";
import { pictureOf, rawOf } from "./pictures.ts";
import { type Product, run } from "./run.ts";
import { describe, openExample, type Table, withDropped } from "./table.ts";
import { Trial } from "./trial.ts";
import { findRun, forgetRun, keepRun, type KeptParts, type UnfinishedRun } from "./unfinished.ts";

/** Between two messages about the same stage, in milliseconds. */
const reportEvery = 80;
const pickable = 24;

class Conductor {
  #executor!: Executor;
  #table!: Table;
  #trial!: Trial;
  #product: Product | undefined;
  #abort: AbortController | undefined;
  #unfinished: UnfinishedRun | undefined;
  /** Whether this tab may keep a run: one tab of an origin at a time. */
  #keeps = false;

  async open(): Promise<Opening> {
    this.#executor = await createExecutor({ workers: defaultWorkers() });
    this.#keeps = await lockRuns();
    this.#unfinished = this.#keeps ? await findRun().catch(() => undefined) : undefined;
    const bench = await this.#put(this.#unfinished?.table ?? (await openExample(await fetchExample())));
    return { bench, choices: this.#unfinished?.choices ?? firstChoices, unfinished: this.#unfinished !== undefined };
  }

  async drop(files: Dropped, role: Role): Promise<Bench> {
    return this.#put(await withDropped(this.#table, files, role));
  }

  async prepare(preprocessing: Preprocessing): Promise<Bench> {
    return this.#put({ ...this.#table, preprocessing });
  }

  /** Samples to try before there is a program. */
  async samples(): Promise<TrialSample[]> {
    const { dataset } = this.#table.test ?? this.#table.calibration;
    const raws = await dataset.read(0, Math.min(pickable, dataset.length));
    return Promise.all(
      raws.map(async (raw, index) => ({ picture: await pictureOf(raw), index, label: raw.label, float: undefined, integer: undefined })),
    );
  }

  /** @returns undefined when it was cancelled */
  async quantize(choices: Choices, onStep: (step: Step) => void): Promise<Outcome | undefined> {
    const { signal } = (this.#abort = new AbortController());
    const unfinished = this.#unfinished;
    this.#unfinished = undefined;
    try {
      const store = unfinished?.store ?? (await this.#keep(choices));
      const executor = this.#executor;
      const work = { executor, signal, checkpoints: store, resumedParts: () => store?.found ?? 0, onStep: sparsely(onStep) };
      this.#product = await run(this.#table, choices, work);
      await this.#trial.add(this.#product.plan);
      return this.#product.outcome;
    } catch (error) {
      if (signal.aborted && error instanceof HalftoneError && error.code === "CANCELLED") return undefined;
      throw error;
    } finally {
      if (this.#keeps) await forgetRun();
    }
  }

  cancel(): void {
    this.#abort?.abort();
  }

  /** @param what number of a sample, or a picture */
  async answer(what: number | Own): Promise<Answer> {
    if (typeof what !== "number") return this.#trial.answerOwn(await rawOf(what));
    return this.#trial.answer(await this.#sample(what));
  }

  async write(product: ProductName): Promise<Uint8Array | string> {
    const made = this.#product;
    if (!made) throw new HalftoneError("OPTION_INVALID", "download", "no program", "one that was quantized before");
    const { table, quantized, plan, file, outcome } = made;
    if (product === "plan") return file;
    if (product === "onnx") return writeModel(toQdq(quantized));
    const { dataset } = table.test ?? table.calibration;
    const { model, preprocessing } = table;
    return writeReport({ quantized, plan, model, accuracy: outcome.evaluation, dataset, preprocessing, planBytes: file.length });
  }

  async #put(table: Table): Promise<Bench> {
    const trial = await Trial.open(table);
    const bench = await describe(table, this.#executor);
    this.#trial?.close();
    this.#trial = trial;
    this.#table = table;
    this.#product = undefined;
    return bench;
  }

  async #sample(index: number): Promise<RawSample> {
    const [raw] = await (this.#table.test ?? this.#table.calibration).dataset.read(index, index + 1);
    return raw!;
  }

  async #keep(choices: Choices): Promise<KeptParts | undefined> {
    if (!this.#keeps || choices.method === "nearest") return undefined;
    // A full disk is no reason not to quantize.
    return keepRun(this.#table, choices).catch(() => undefined);
  }
}

/** Held until the tab is closed. A tab that is being reloaded lets go of it a moment later. */
function lockRuns(): Promise<boolean> {
  return new Promise((resolve) => {
    const held = navigator.locks.request("halftone-studio-run", { signal: AbortSignal.timeout(2000) }, () => {
      resolve(true);
      return new Promise(() => {});
    });
    held.catch(() => resolve(false));
  });
}

function sparsely(onStep: (step: Step) => void): (step: Omit<Step, "seconds">) => void {
  let last = 0;
  const begun = new Map<string, number>();
  return (step) => {
    const now = performance.now();
    const since = begun.get(step.stage);
    if (since !== undefined && step.done !== step.total && now - last < reportEvery) return;
    if (since === undefined) begun.set(step.stage, now);
    last = now;
    onStep({ ...step, seconds: (now - (since ?? now)) / 1000 });
  };
}

/** Errors cross to the page as plain ones: their sentence is all that it shows. */
function plainErrors<T extends object>(api: T): T {
  return new Proxy(api, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return async (...parameters: unknown[]) => {
        try {
          return await member.apply(target, parameters);
        } catch (error) {
          throw new Error(error instanceof Error ? error.message : String(error));
        }
      };
    },
  });
}

export type { Conductor };

expose(plainErrors(new Conductor()));
