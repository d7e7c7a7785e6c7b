// Models × formats × methods × seeds: each model is calibrated once, each combination becomes an integer program and is measured.
import { createMeter } from "../tasks/progress.ts";
import { blobOf } from "../tasks/hash.ts";
import { pack } from "../tasks/pack.ts";
import type { Blob, Progress, Task } from "../tasks/types.ts";
import { type Cell, cellsOf } from "./cells.ts";
import type { Answers, ModelOptions, RunOptions, Statistics } from "./kinds.ts";
import { type Memory, type Remembered, remembered } from "./remembered.ts";
import { firstBlob, spreadBlob } from "./samples.ts";
import { type Failed, isFailed, type Measured, type Row, type SweepModel, type SweepPlan } from "./types.ts";

export interface SweepWork extends Memory {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** A model's files, and what is known of it whatever its weights become. */
interface Inputs {
  readonly model: Blob;
  readonly calibration: Blob;
  readonly test: Blob;
}

/**
 * One row for each model and combination. Rows depend on the plan alone, not on the executor, on what was kept, or on the order in
 * which tasks end.
 *
 * Memory: the samples of all models as they are stored, and in each worker those of one model.
 *
 * @throws HalftoneError OPTION_INVALID, CANCELLED, and those of the data; what a single run fails with stands in its row
 */
export async function sweep(plan: SweepPlan, work: SweepWork): Promise<Row[]> {
  const cells = cellsOf(plan);
  const inputs = await Promise.all(plan.models.map((model) => inputsOf(model, plan)));

  const firsts = plan.models.flatMap((model, m) => firstTasks(model, inputs[m]!));
  const known = await remembered<Statistics | Answers>(firsts, work, meter("calibrate", work));

  const rows: { readonly model: SweepModel; readonly cell: Cell; readonly task: Task | Failed }[] = [];
  for (const [m, model] of plan.models.entries()) {
    const own = [known[2 * m]!, known[2 * m + 1]!];
    const failed = own.map(({ value }) => value).find(isFailed);
    const blobs = await Promise.all(own.map(({ value }) => blobOf(pack(value))));
    for (const cell of cells) rows.push({ model, cell, task: failed ?? runTaskOf(model, inputs[m]!, blobs, cell) });
  }
  const tasks = rows.flatMap(({ task }) => (isFailed(task) ? [] : [task]));
  const results = await remembered<Measured>(tasks, work, meter("sweep", work));
  let next = 0;
  return rows.map(({ model, cell: { choices }, task }): Row => {
    const result: Remembered<Measured> = isFailed(task) ? { name: "", value: task } : results[next++]!;
    return { model: model.name, choices, task: result.name, outcome: result.value };
  });
}

/** How many runs a plan stands for. @throws HalftoneError OPTION_INVALID of a method */
export const runsOf = (plan: SweepPlan): number => plan.models.length * cellsOf(plan).length;

async function inputsOf(model: SweepModel, { options, limit }: SweepPlan): Promise<Inputs> {
  return {
    model: await blobOf(model.bytes),
    calibration: await spreadBlob(model.calibration, options.samples),
    test: await firstBlob(model.test, limit ?? model.test.length),
  };
}

/** Statistics and float answers. */
function firstTasks({ name, preprocessing }: SweepModel, { model, calibration, test }: Inputs): Task[] {
  const options: ModelOptions = { preprocessing };
  return [
    { kind: "statistics", options, shared: [model, calibration], payload: null, label: `statistics of ${name}` },
    { kind: "answers", options, shared: [model, test], payload: null, label: `float answers of ${name}` },
  ];
}

function runTaskOf({ name, file, labels, preprocessing }: SweepModel, inputs: Inputs, known: readonly Blob[], cell: Cell): Task {
  const options: RunOptions = { quantize: cell.options, preprocessing, file, labels };
  const shared = [inputs.model, inputs.calibration, inputs.test, ...known];
  return { kind: "run", options, shared, payload: null, label: `${name} ${Object.values(cell.choices).join(" ")}` };
}

/** Progress of what is to be done; what was kept is not counted. */
function meter(stage: string, { onProgress }: SweepWork): (done: number, total: number) => void {
  let report: ((done: number) => void) | undefined;
  return (done, total) => {
    if (total === 0) return;
    report ??= createMeter(stage, total, onProgress);
    report(done);
  };
}
