// The three tasks of a sweep. A model's statistics and its float answers are made once, whatever is then done with them.
import { calibrate } from "../calibrate.ts";
import type { Dataset, Preprocessing } from "../data/types.ts";
import { assert, HalftoneError, passing } from "../errors.ts";
import { answersOf, type Evaluation, evaluate } from "../evaluate.ts";
import { prepare } from "../graph/prepare.ts";
import type { Graph } from "../graph/types.ts";
import { lower } from "../lower/lower.ts";
import { hardenedGraph } from "../onnx/hardened.ts";
import { readModel } from "../onnx/read.ts";
import { writeModel } from "../onnx/write.ts";
import { writePlan } from "../plan/writer.ts";
import { quantize } from "../quantize.ts";
import type { QuantizeOptions } from "../quantized/options.ts";
import { findSites } from "../quantized/sites.ts";
import { Histogram } from "../ranges/histogram.ts";
import { withGolden } from "../runtime/record.ts";
import type { TaskContext } from "../tasks/context.ts";
import { sha256 } from "../tasks/hash.ts";
import { taskKinds } from "../tasks/kinds/table.ts";
import type { TaskCall, TaskKind, TaskKinds } from "../tasks/kinds.ts";
import { unpack } from "../tasks/pack.ts";
import type { WorkOptions } from "../tasks/types.ts";
import { nestedExecutor } from "./nested.ts";
import { datasetOf } from "./samples.ts";
import type { Failed, Measured } from "./types.ts";

/** Options of `statistics` and `answers`. Shared: model, samples. */
export interface ModelOptions {
  readonly preprocessing: Preprocessing;
}

/** Histograms of everything that any format may need the range of. */
export interface Statistics {
  readonly values: readonly string[];
  readonly histograms: readonly Uint8Array[];
}

/** The float model's logits, [samples, classes]. */
export interface Answers {
  readonly logits: Float32Array;
}

/** Shared: model, test samples, statistics, answers, and calibration samples where the method looks at them. */
export interface RunOptions {
  readonly quantize: QuantizeOptions;
  readonly preprocessing: Preprocessing;
  /** Name and class names, which a plan remembers. */
  readonly file: string;
  readonly labels?: readonly string[] | undefined;
}

const statistics: TaskKind = {
  run: (call, context) =>
    told(async (): Promise<Statistics> => {
      const [model, samples] = sharedOf(call, context);
      const { preprocessing } = call.options as ModelOptions;
      const dataset = datasetOf(samples!);
      const values = observable(prepare(readModel(model!)));
      const histograms = await calibrate({ model: model!, values, dataset, samples: dataset.length, preprocessing, ...workIn(context) });
      return { values, histograms: values.map((value) => histograms.get(value)!.serialize()) };
    }),
};

const answers: TaskKind = {
  run: (call, context) =>
    told(async (): Promise<Answers> => {
      const [model, samples] = sharedOf(call, context);
      const { preprocessing } = call.options as ModelOptions;
      return { logits: await answersOf(model!, datasetOf(samples!), { preprocessing, ...workIn(context) }) };
    }),
};

const run: TaskKind = {
  run: (call, context) =>
    told(async (): Promise<Measured> => {
      const { quantize: options, preprocessing, file, labels } = call.options as RunOptions;
      const [model, test, statistics, answers, calibration] = sharedOf(call, context);
      const { values, histograms } = unpack(statistics!) as Statistics;
      const { logits } = unpack(answers!) as Answers;
      const work = workIn(context);
      const dataset = calibration ? datasetOf(calibration) : noSamples;
      const quantized = await quantize({ model: model!, name: file, dataset, preprocessing, labels }, options, {
        ...work,
        async observe(wanted) {
          return new Map(wanted.map((value) => [value, Histogram.parse(histograms[values.indexOf(value)]!)]));
        },
      });
      const plan = await writePlan(await withGolden(lower(quantized, { residual: options.residual })));
      const measure = (bytes: Uint8Array): Promise<Evaluation> =>
        evaluate(bytes, datasetOf(test!), { answers: logits, preprocessing, ...work });
      return {
        evaluation: await measure(plan),
        weightsAlone: options.floatActivations ? await measure(writeModel(hardenedGraph(quantized))) : undefined,
        bytes: plan.length,
        plan: await sha256(plan),
      };
    }),
};

/** Everything that a worker of a sweep can do. */
export const sweepKinds: TaskKinds = { ...taskKinds, statistics, answers, run };

/** For methods that look at no sample. */
const noSamples: Dataset = {
  name: "no samples",
  length: 0,
  labelled: false,
  async read() {
    assert(false, "a method that needs samples is given them");
  },
};

function sharedOf({ shared }: TaskCall, context: TaskContext): (Uint8Array | undefined)[] {
  return shared.map((hash) => context.shared.get(hash));
}

/** Values that quantizers may sit on, at any width. */
function observable(graph: Graph): string[] {
  return findSites(graph, 8).map(({ value }) => value);
}

/** Learning does not breathe through the context by itself: each of its steps is a sign of life. */
function workIn(context: TaskContext): WorkOptions {
  return { executor: nestedExecutor(context), signal: context.signal, onProgress: () => void context.breathe().catch(() => {}) };
}

/** What cannot be done is a result too: the other runs go on. */
async function told<T>(work: () => Promise<T>): Promise<T | Failed> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof HalftoneError) || passing.has(error.code)) throw error;
    return { error: error.toData() };
  }
}
