// A recipe: everything that determines the result besides model and data, as a JSON file that flags can overrule.
import { checkPreprocessing, type Preprocessing } from "../data/index.ts";
import { HalftoneError } from "../errors.ts";
import { defaultOptions, type LayerOptions, type LearningOptions, type Override, type QuantizeOptions } from "../quantized/options.ts";
import { chooseMethod, defined } from "../reconstruct/choose.ts";
import { presets } from "../reconstruct/presets.ts";
import type { QuantizeFlags } from "./commands/quantize.ts";
import { parseWidth } from "./commands/quantize.ts";
import { readText } from "./files.ts";

export interface Recipe extends QuantizeOptions {
  readonly preprocessing?: Preprocessing | undefined;
}

type Check = (value: unknown) => boolean;
const bits: Check = (value) => Number.isInteger(value) && (value as number) >= 2 && (value as number) <= 8;
const whole: Check = (value) => Number.isInteger(value) && (value as number) >= 0;
const oneOf =
  (...values: string[]): Check =>
  (value) =>
    values.includes(value as string);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);

const layerFields: Readonly<Record<keyof LayerOptions, readonly [Check, string]>> = {
  weights: [bits, "2 … 8 bits"],
  activations: [bits, "2 … 8 bits"],
  granularity: [oneOf("channel", "tensor"), "channel or tensor"],
  ranges: [oneOf("auto", "mse", "minmax", "percentile", "entropy"), "auto, mse, minmax, percentile or entropy"],
  weightRanges: [oneOf("mse", "mse-grid", "minmax"), "mse, mse-grid or minmax"],
  weightZeros: [oneOf("affine", "symmetric"), "affine or symmetric"],
};

const count: Check = (value) => whole(value) && value !== 0;
const isOverride: Check = (value) => {
  const { nodes, set } = (value ?? {}) as Override;
  return (
    typeof nodes === "string" &&
    typeof set === "object" &&
    set !== null &&
    Object.entries(set).every(([key, v]) => layerFields[key as keyof LayerOptions]?.[0](v))
  );
};

/** A misspelt or impossible cell is told by the table of methods itself. */
const isLearning: Check = (value) => {
  try {
    const { budget, outputWeights, ...others } = value as LearningOptions;
    chooseMethod({ method: "nearest", learning: others, floatActivations: false });
    chooseMethod({ method: "auto", learning: { budget, outputWeights }, floatActivations: false });
    return true;
  } catch {
    return false;
  }
};

const recipeFields: Readonly<Record<keyof QuantizeOptions, readonly [Check, string]>> = {
  ...layerFields,
  firstLast: [(value) => value === 0 || value === 8, "0 or 8"],
  method: [oneOf(...Object.keys(presets)), Object.keys(presets).join(", ")],
  learning: [isLearning, "an object of iterations, batch, rate, …"],
  floatActivations: [(value) => typeof value === "boolean", "true or false"],
  residual: [oneOf("wide", "codes"), "wide or codes"],
  equalize: [(value) => typeof value === "boolean", "true or false"],
  correct: [(value) => typeof value === "boolean", "true or false"],
  exclude: [listOf((value) => typeof value === "string"), "a list of node names or /patterns/"],
  overrides: [listOf(isOverride), 'a list of {"nodes": "/REGEX/", "set": {"weights": 8, …}}'],
  samples: [count, "a whole number, 1 or more"],
  draw: [oneOf("even", "random", "balanced"), "even, random or balanced"],
  seed: [whole, "a whole number"],
};

const number: Check = (value) => typeof value === "number";
const absent: Check = (value) => value === undefined;
const numbers = listOf(number);

const preprocessingFields: Readonly<Record<keyof Preprocessing, Check>> = {
  resize: (value) => absent(value) || number(value) || (numbers(value) && (value as number[]).length === 2),
  crop: (value) => absent(value) || (numbers(value) && (value as number[]).length === 2),
  scale: number,
  mean: numbers,
  std: numbers,
};

function readPreprocessing(value: unknown, place: string): Preprocessing {
  const fields = (typeof value === "object" && value !== null ? value : {}) as Preprocessing;
  const fits = Object.entries(preprocessingFields).every(([key, check]) => check(fields[key as keyof Preprocessing]));
  if (!fits)
    throw new HalftoneError(
      "OPTION_INVALID",
      place,
      JSON.stringify(value),
      '{"scale": number, "mean": [numbers], "std": [numbers]}, and "resize": pixels, "crop": [height, width] where wanted',
    );
  return checkPreprocessing(fields, place);
}

/** @throws HalftoneError OPTION_INVALID naming the field */
export async function readRecipe(path: string): Promise<Partial<Recipe>> {
  let recipe: Record<string, unknown>;
  try {
    recipe = JSON.parse(await readText(path));
  } catch (error) {
    if (error instanceof HalftoneError) throw error;
    throw new HalftoneError("OPTION_INVALID", path, "text that is not JSON", "a recipe as quantize writes it beside its outputs");
  }
  return checkRecipe(recipe, path);
}

/** @throws HalftoneError OPTION_INVALID naming the field, at `path` */
export function checkRecipe(recipe: unknown, path: string): Partial<Recipe> {
  if (typeof recipe !== "object" || recipe === null || Array.isArray(recipe))
    throw new HalftoneError("OPTION_INVALID", path, JSON.stringify(recipe), "a JSON object of options");
  for (const [key, value] of Object.entries(recipe)) {
    if (key === "preprocessing") {
      readPreprocessing(value, `${path}, field 'preprocessing'`);
      continue;
    }
    const field = recipeFields[key as keyof QuantizeOptions];
    if (!field)
      throw new HalftoneError("OPTION_INVALID", `${path}, field '${key}'`, "an unknown field", Object.keys(recipeFields).join(", "));
    if (!field[0](value)) throw new HalftoneError("OPTION_INVALID", `${path}, field '${key}'`, JSON.stringify(value), field[1]);
  }
  return recipe as Partial<Recipe>;
}

/** `'/REGEX/=weights:int8,ranges:minmax'` */
export function parseOverride(text: string): Override {
  const end = text.lastIndexOf("=");
  const wrong = (found: string, expected: string): HalftoneError =>
    new HalftoneError("OPTION_INVALID", `--override ${text}`, found, expected);
  if (end < 1) throw wrong("no '='", "'NODES=OPTION:VALUE,…'");
  const set: Record<string, unknown> = {};
  for (const part of text.slice(end + 1).split(",")) {
    const [key, value] = part.split(":") as [string, string | undefined];
    const field = layerFields[key as keyof LayerOptions];
    if (!field || value === undefined) throw wrong(`'${part}'`, `${Object.keys(layerFields).join(", ")}, each with ':VALUE'`);
    const parsed = key === "weights" || key === "activations" ? widthOf(value, wrong) : value;
    if (!field[0](parsed)) throw wrong(`'${part}'`, `${key}: ${field[1]}`);
    set[key] = parsed;
  }
  return { nodes: text.slice(0, end), set };
}

function widthOf(text: string, wrong: (found: string, expected: string) => HalftoneError): number {
  try {
    return parseWidth(text);
  } catch {
    throw wrong(`'${text}'`, "int2 … int8");
  }
}

/** Defaults, then the recipe file, then flags. */
export function chosenOptions(flags: QuantizeFlags, recipe: Partial<Recipe>): QuantizeOptions {
  const { preprocessing: _, ...fromFile } = recipe;
  const { samples, draw, weights, granularity, ranges, weightRanges, weightZeros, firstLast, method, residual, equalize, correct, seed } =
    flags;
  const { budget, iterations, batch, rate, scaleRate, lambda, objective, scope, optimizer, course, drop } = flags;
  const { parametrization, loss, compared, predictionWeight, temperature, relaxation, regularizer } = flags;
  const { warmUp, weightSubset, displacement, warmStart, augment, activationPhase, outputWeights } = flags;
  const learning = defined({
    ...{ budget, iterations, batch, rate: rate ?? flags.lr, scaleRate, lambda, objective, scope, optimizer, course, drop },
    ...{ parametrization, loss, compared, predictionWeight, temperature, relaxation, regularizer },
    ...{ warmUp, weightSubset, displacement, warmStart, augment, activationPhase, outputWeights },
  });
  const float = flags.activations === "float";
  const fromFlags: Partial<QuantizeOptions> = {
    samples,
    draw,
    weights,
    activations: flags.activations === "float" ? 8 : flags.activations,
    floatActivations: flags.activations === undefined ? undefined : float,
    granularity,
    ranges,
    weightRanges,
    weightZeros,
    firstLast,
    method,
    learning: Object.keys(learning).length > 0 ? { ...fromFile.learning, ...learning } : undefined,
    residual,
    equalize,
    correct,
    seed,
    exclude: flags.exclude?.length ? flags.exclude : undefined,
    overrides: flags.override?.length ? flags.override.map(parseOverride) : undefined,
  };
  return { ...defaultOptions, ...fromFile, ...defined(fromFlags) };
}
