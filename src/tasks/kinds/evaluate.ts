import type { Preprocessing, RawSample, Sample } from "../../data/types.ts";
import { HalftoneError } from "../../errors.ts";
import type { TaskContext } from "../context.ts";
import type { TaskCall, TaskKind } from "../kinds.ts";
import { type Arithmetic, openClassifier } from "./models.ts";
import { decodeAll } from "./samples.ts";

export interface EvaluateOptions {
  /** Models to run on the same samples, by the hash of their bytes among the task's shared inputs. */
  readonly models: readonly { readonly hash: string; readonly arithmetic: Arithmetic }[];
  readonly preprocessing: Preprocessing;
}

/** What one slice of samples gives: for each model its logits [samples, classes]. */
export interface EvaluateResult {
  readonly labels: Int32Array;
  readonly logits: readonly Float32Array[];
}

/** Payload: raw samples, decoded once for all models. */
export const evaluate: TaskKind = {
  async run(task: TaskCall, context: TaskContext): Promise<EvaluateResult> {
    const { models, preprocessing } = task.options as EvaluateOptions;
    const raw = task.payload as readonly RawSample[];
    const places = raw.map(({ place }) => place);
    const decoded = new Map<number | undefined, readonly Sample[]>();
    const logits: Float32Array[] = [];
    for (const { hash, arithmetic } of models) {
      const model = await openClassifier[arithmetic](context, hash);
      const samples = decoded.get(model.channels) ?? (await decodeAll(raw, preprocessing, model.channels, context));
      decoded.set(model.channels, samples);
      const answer = await model.run(samples, places, context);
      check(answer, raw);
      logits.push(answer);
    }
    return { labels: Int32Array.from(raw, ({ label }) => label), logits };
  },
};

/** Logits are finite, and labels within the classes they speak of. */
function check(logits: Float32Array, raw: readonly RawSample[]): void {
  const classes = logits.length / raw.length;
  const bad = logits.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new HalftoneError("NOT_FINITE", raw[Math.floor(bad / classes)]!.place, `logit ${logits[bad]}`, "finite logits");
  const beyond = raw.find(({ label }) => label >= classes);
  if (beyond)
    throw new HalftoneError(
      "LABEL_RANGE",
      beyond.place,
      `label ${beyond.label}`,
      `0…${classes - 1}, as the model has ${classes} classes`,
      "Shift labels with --label-offset, or check that the data belongs to this model.",
    );
}
