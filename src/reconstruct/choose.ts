// A method from its name and the cells that the user exchanges.
import { HalftoneError } from "../errors.ts";
import type { LearningOptions, QuantizeOptions } from "../quantized/options.ts";
import type { Method, Objective } from "./methods.ts";
import { kernelOptimizers } from "./optimizers.ts";
import { objectives, presets } from "./presets.ts";

type Check = readonly [holds: (value: unknown) => boolean, expected: string];

const whole = (least: number): Check => [
  (value) => Number.isInteger(value) && (value as number) >= least,
  `a whole number, ${least} or more`,
];
const atLeast0: Check = [(value) => Number.isFinite(value) && (value as number) >= 0, "a number, 0 or more"];
const below1: Check = [(value) => typeof value === "number" && value >= 0 && value < 1, "a share from 0 to below 1"];
const oneOf = (...names: readonly string[]): Check => [(value) => names.includes(value as string), names.join(", ")];

/** One row per cell. */
const checks: Readonly<Record<keyof LearningOptions, Check>> = {
  iterations: whole(0),
  budget: [(value) => Number.isFinite(value) && (value as number) > 0, "a number of seconds"],
  batch: whole(1),
  rate: atLeast0,
  scaleRate: atLeast0,
  lambda: atLeast0,
  objective: oneOf(...Object.keys(objectives)),
  scope: oneOf("layer", "block", "stage"),
  optimizer: oneOf("adam", "radam", "sgd", "adamax", "lion"),
  course: oneOf("constant", "cosine"),
  drop: below1,
  parametrization: oneOf("nearest", "sigmoid", "division", "power"),
  loss: oneOf("output-mse", "mse", "mae", "huber", "nmse", "cosine", "output-kl", "lp"),
  compared: oneOf("after", "before"),
  predictionWeight: atLeast0,
  temperature: [(value) => Number.isFinite(value) && (value as number) > 0, "a number above 0"],
  relaxation: oneOf("rectifiedSigmoid", "sigmoid", "clippedLine", "tanh", "cosine"),
  regularizer: oneOf("power", "quadratic", "none"),
  warmUp: below1,
  weightSubset: [(value) => typeof value === "number" && value > 0 && value <= 1, "a share from above 0 to 1"],
  displacement: whole(0),
  warmStart: oneOf("none", "gptq"),
  augment: oneOf("none", "noise", "move"),
  activationPhase: whole(0),
  outputWeights: oneOf("identity", "fisher"),
};

/** The cells of roundings up or down: other parametrizations have none of them. */
const roundingCells: readonly string[] = ["relaxation", "regularizer", "weightSubset", "displacement", "warmStart", "activationPhase"];
/** Share of a sample's largest magnitude that `augment: noise` adds at most. */
const noiseShare = 1 / 16;

/** The cells that closed-form rows have; the others belong to learning in steps. */
const gramCells: readonly string[] = ["iterations", "rate", "lambda", "outputWeights"];
/** Those of rows that learn the network as a whole after that: their steps are its own. */
const networkCells: readonly string[] = ["iterations", "budget", "batch", "outputWeights"];
/** Cells that no other row has. */
const closedCells: readonly string[] = ["budget", "outputWeights"];

/** Cells that a row has, where it has not all. */
const cellsOf = ({ gram, network, parametrization }: Method): readonly string[] => {
  if (network) return networkCells;
  if (gram) return gramCells;
  const cells = Object.keys(checks).filter((name) => !closedCells.includes(name));
  return parametrization === "sigmoid" || parametrization === "nearest" ? cells : cells.filter((name) => !roundingCells.includes(name));
};

/**
 * The row of a method with the user's cells in it.
 *
 * @throws HalftoneError OPTION_INVALID naming the option
 */
export function chooseMethod(options: Pick<QuantizeOptions, "method" | "learning" | "floatActivations">): Method {
  const { method: name, learning, floatActivations } = options;
  const rows: Readonly<Record<string, Method>> = presets;
  const row = Object.hasOwn(rows, name) ? rows[name] : undefined;
  if (!row) throw new HalftoneError("OPTION_INVALID", "--method", `'${name}'`, Object.keys(presets).join(", "));
  const cells = cellsOf(row);
  for (const [key, value] of Object.entries(learning ?? {})) {
    const check = checks[key as keyof LearningOptions];
    if (!check) throw new HalftoneError("OPTION_INVALID", `learning option '${key}'`, "an unknown name", Object.keys(checks).join(", "));
    if (value !== undefined && !check[0](value)) throw new HalftoneError("OPTION_INVALID", `--${key}`, JSON.stringify(value), check[1]);
    if (value !== undefined && !cells.includes(key)) {
      throw new HalftoneError(
        "OPTION_INVALID",
        `--${key}`,
        `method ${name}`,
        "a method with that cell",
        `${name} takes ${cells.join(", ")}.`,
      );
    }
  }
  const method = exchanged(row, defined(learning ?? {}), floatActivations);
  const { parametrization, schedule } = method;
  if (parametrization !== "sigmoid" && !kernelOptimizers.has(schedule.optimizer)) {
    const expected = `${[...kernelOptimizers].join(", ")}, or parametrization sigmoid`;
    throw new HalftoneError("OPTION_INVALID", "--optimizer", `${schedule.optimizer} with parametrization ${parametrization}`, expected);
  }
  return method;
}

function exchanged(row: Method, cells: LearningOptions, floatActivations: boolean): Method {
  const { iterations, batch, optimizer, rate, course, lambda, warmUp, drop, budget, outputWeights } = cells;
  const keep = drop === undefined ? undefined : 1 - drop;
  const { activations, schedule } = row;
  const parametrization = cells.parametrization ?? row.parametrization;
  return {
    ...row,
    scope: cells.scope ?? row.scope,
    objective: objectiveOf(cells.objective ? objectives[cells.objective] : row.objective, cells),
    parametrization,
    schedule: {
      ...schedule,
      ...defined({ iterations, batch, optimizer, rate, course, lambda }),
      temperature: warmUp === undefined ? schedule.temperature : { ...schedule.temperature, warm: warmUp },
    },
    // Where a network is learned after the codes, steps and rates are those of the network.
    gram: row.gram && { ...row.gram, ...defined({ outputs: outputWeights, ...(row.network ? {} : { iterations, rate, lambda }) }) },
    network: row.network && { ...row.network, ...defined({ budget, iterations, batch }) },
    inputKeep: floatActivations ? 1 : (keep ?? row.inputKeep),
    activations:
      floatActivations || activations.kind === "float"
        ? { kind: "float" }
        : { ...activations, keep: keep ?? activations.keep, rate: cells.scaleRate ?? activations.rate },
    ...defined({
      rounding:
        cells.relaxation || cells.regularizer || cells.weightSubset || cells.displacement
          ? { relaxation: cells.relaxation, regularizer: cells.regularizer, subset: cells.weightSubset, displacement: cells.displacement }
          : undefined,
      start: cells.warmStart === "gptq" ? "codes" : undefined,
      compared: cells.compared,
      noise: cells.augment === "noise" ? noiseShare : undefined,
      moved: cells.augment === "move" || undefined,
      activationPhase: floatActivations ? undefined : cells.activationPhase,
    } as const),
  };
}

/** An objective with the user's loss, weight and temperature, where it has such. */
function objectiveOf(row: Objective, { loss, predictionWeight, temperature }: LearningOptions): Objective {
  if (row.kind === "output") return { ...row, ...defined({ loss }) };
  const softened = { ...row, ...defined({ temperature }) };
  return softened.kind === "fisher" ? softened : { ...softened, ...defined({ loss, weight: predictionWeight }) };
}

/** Without the fields that are undefined. */
export function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
