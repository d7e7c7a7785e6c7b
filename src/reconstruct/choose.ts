// A method from its name and the cells that the user exchanges.
import { HalftoneError } from "../errors.ts";
import type { LearningOptions, QuantizeOptions } from "../quantized/options.ts";
import type { Method } from "./methods.ts";
import { objectives, presets } from "./presets.ts";

type Check = readonly [holds: (value: unknown) => boolean, expected: string];

const whole = (least: number): Check => [
  (value) => Number.isInteger(value) && (value as number) >= least,
  `a whole number, ${least} or more`,
];
const atLeast0: Check = [(value) => Number.isFinite(value) && (value as number) >= 0, "a number, 0 or more"];
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
  scope: oneOf("layer", "block"),
  optimizer: oneOf("adam", "radam"),
  course: oneOf("constant", "cosine"),
  drop: [(value) => typeof value === "number" && value >= 0 && value < 1, "a share from 0 to below 1"],
  parametrization: oneOf("nearest", "sigmoid", "division", "power"),
};

/** The cells that closed-form rows have; the others belong to learning in steps. */
const gramCells: readonly string[] = ["iterations", "rate", "lambda"];
/** Those of rows that learn the network as a whole after that: their steps are its own. */
const networkCells: readonly string[] = ["iterations", "budget", "batch"];

/** Cells that a row has, where it has not all; a budget is for those that plan with it. */
const cellsOf = ({ gram, network }: Method): readonly string[] => {
  if (network) return networkCells;
  return gram ? gramCells : Object.keys(checks).filter((name) => name !== "budget");
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
  const { scaleRate, objective, scope, drop, parametrization, budget, ...schedule } = defined(learning ?? {});
  const keep = drop === undefined ? undefined : 1 - drop;
  const { activations } = row;
  return {
    ...row,
    scope: scope ?? row.scope,
    objective: objective ? objectives[objective] : row.objective,
    parametrization: parametrization ?? row.parametrization,
    schedule: { ...row.schedule, ...schedule },
    network: row.network && { ...row.network, ...defined({ budget, iterations: schedule.iterations, batch: schedule.batch }) },
    inputKeep: floatActivations ? 1 : (keep ?? row.inputKeep),
    activations:
      floatActivations || activations.kind === "float"
        ? { kind: "float" }
        : { ...activations, keep: keep ?? activations.keep, rate: scaleRate ?? activations.rate },
  };
}

function defined(options: LearningOptions): LearningOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
