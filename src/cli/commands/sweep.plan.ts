// A plan from YAML and flags: which models and data, which values of each axis, which options stay.
import { basename, dirname, isAbsolute, join } from "node:path";
import { LineCounter, parseDocument } from "yaml";
import type { Preprocessing } from "../../data/index.ts";
import { HalftoneError } from "../../errors.ts";
import { defaultOptions, type LearningOptions, type QuantizeOptions } from "../../quantized/options.ts";
import { type AxisName, axisNames, type Choice, type SweepModel, type SweepPlan } from "../../sweep/types.ts";
import {
  hasPreprocessing,
  openData,
  parseCount,
  parseInteger,
  parseNumber,
  type PreprocessFlags,
  readPreprocessing,
} from "../data-flags.ts";
import { readLabels, readText } from "../files.ts";
import { openModel } from "../models.ts";
import { checkRecipe, readRecipe } from "../recipe.ts";
import { parseWidth } from "./quantize.ts";
import type { SweepFlags } from "./sweep.ts";

/** Fields that a model can have of its own; what it has not is the plan's. */
const modelFields = ["data", "test", "labels", "labelOffset", "preprocess", "resize", "crop", "scale", "mean", "std"] as const;
const planFields = [
  "models",
  "samples",
  "limit",
  "weights",
  "activations",
  "methods",
  "ranges",
  "seeds",
  "options",
  ...modelFields,
] as const;
type Fields = Readonly<Record<string, unknown>>;

interface Axis {
  /** Field of the plan. */
  readonly field: string;
  /** The value that options have, where none is named. */
  of(options: QuantizeOptions): string;
  /** What a label stands for. @throws Error whose message says what was found and expected */
  parse(label: string): Partial<QuantizeOptions>;
}

const axes: Readonly<Record<AxisName, Axis>> = {
  weights: {
    field: "weights",
    of: ({ weights }) => `int${weights}`,
    parse: (label) => ({ weights: parseWidth(label) }),
  },
  activations: {
    field: "activations",
    of: ({ activations, floatActivations }) => (floatActivations ? "float" : `int${activations}`),
    parse: (label) =>
      label === "float" ? { activations: 8, floatActivations: true } : { activations: parseWidth(label), floatActivations: false },
  },
  method: { field: "methods", of: ({ method }) => method, parse: parseMethod },
  ranges: { field: "ranges", of: ({ ranges }) => ranges, parse: (label) => checkRecipe({ ranges: label }, "ranges") },
  seed: { field: "seeds", of: ({ seed }) => String(seed), parse: (label) => ({ seed: parseCount(label) }) },
};

/** "qdrop iterations=500 scale-rate=0": a row of the table of methods, and cells of it. */
function parseMethod(label: string): Partial<QuantizeOptions> {
  const [method, ...cells] = label.trim().split(/\s+/) as [string, ...string[]];
  const learning = cells.map((cell): [string, unknown] => {
    const [key, value] = cell.split("=") as [string, string | undefined];
    if (value === undefined) throw new Error(`found '${cell}', expected CELL=VALUE`);
    return [camelCase(key), value !== "" && Number.isFinite(Number(value)) ? Number(value) : value];
  });
  return { method, learning: Object.fromEntries(learning) as LearningOptions };
}

/**
 * @param path of a YAML file; paths in it are meant from its folder
 * @throws HalftoneError OPTION_INVALID naming field or flag, FILE_UNREADABLE, and those of models and data
 */
export async function readPlan(flags: SweepFlags, path: string | undefined): Promise<SweepPlan> {
  const written = path === undefined ? {} : await readYaml(path);
  const base = path === undefined ? "" : dirname(path);
  const given = Object.fromEntries(planFields.flatMap((key) => (flagOf(flags, key) === undefined ? [] : [[key, flagOf(flags, key)]])));
  const place = (key: string): string => (key in given ? `--${kebabCase(key)}` : `${path ?? "sweep"}, field '${key}'`);
  const fields: Fields = { ...written, ...given };

  const recipe = flags.recipe ? await readRecipe(flags.recipe) : {};
  const { preprocessing, ...fixed } = { ...recipe, ...checkRecipe(fields.options ?? {}, place("options")) };
  const samples = fields.samples === undefined ? {} : { samples: countOf(fields.samples, place("samples")) };
  const options: QuantizeOptions = { ...defaultOptions, ...fixed, ...samples };
  const chosen = Object.fromEntries(axisNames.map((axis) => [axis, choicesOf(axes[axis], fields, options, place)]));

  const named = listOf(fields.models ?? missing(place("models"), "--models", "one float model or more"));
  const entries = named.map((entry, i) => entryOf(entry, `${place("models")} ${i + 1}`));
  const shown = namesOf(entries.map(({ model }) => String(model)));
  const models: SweepModel[] = [];
  for (const [i, entry] of entries.entries()) {
    const own: Fields = { ...pick(written, modelFields), ...entry, ...pick(given, modelFields) };
    // What flags name is where the user stands, what the file names is beside it.
    const at = (key: string): string => (key in given ? "" : base);
    models.push(await openEntry({ ...own, model: entry.model }, shown[i]!, preprocessing, at, place));
  }
  return {
    models,
    axes: chosen as Record<AxisName, Choice[]>,
    options,
    limit: fields.limit === undefined ? undefined : countOf(fields.limit, place("limit")),
  };
}

async function openEntry(
  own: Fields,
  name: string,
  remembered: Preprocessing | undefined,
  at: (key: string) => string,
  place: (key: string) => string,
): Promise<SweepModel> {
  const pathOf = (key: "data" | "test"): string =>
    fromFolder(at(key), textOf(own[key] ?? missing(place(key), `--${key}`, "a path"), place(key)));
  const parsed = <T>(key: string, parse: (text: string) => T): T | undefined =>
    own[key] === undefined ? undefined : attempt(() => parse(textOf(own[key], place(key))), place(key));
  const labelOffset = parsed("labelOffset", parseInteger);
  const calibration = await openData(pathOf("data"), labelOffset);
  const test = await openData(pathOf("test"), labelOffset);
  const flags: PreprocessFlags = {
    preprocess: parsed("preprocess", (text) => fromFolder(at("preprocess"), text)),
    resize: parsed("resize", parseCount),
    crop: parsed("crop", String),
    scale: parsed("scale", parseNumber),
    mean: parsed("mean", String),
    std: parsed("std", String),
  };
  const labels = parsed("labels", (text) => fromFolder(at("labels"), text));
  const model = String(own.model);
  return {
    name,
    file: basename(model),
    bytes: await openModel(fromFolder(at("models"), model), "float"),
    calibration,
    test,
    preprocessing: hasPreprocessing(flags) || !remembered ? await readPreprocessing(flags, calibration) : remembered,
    labels: labels ? await readLabels(labels) : calibration.classes,
  };
}

async function readYaml(path: string): Promise<Fields> {
  const lines = new LineCounter();
  const document = parseDocument(await readText(path), { lineCounter: lines, prettyErrors: false });
  const [wrong] = document.errors;
  if (wrong) {
    const { line } = lines.linePos(wrong.pos[0]);
    throw new HalftoneError("OPTION_INVALID", `${path}, line ${line}`, wrong.message.toLowerCase(), "YAML");
  }
  return checkFields(document.toJS() ?? {}, planFields, path);
}

function checkFields(value: unknown, known: readonly string[], place: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new HalftoneError("OPTION_INVALID", place, JSON.stringify(value), `fields: ${known.join(", ")}`);
  const fields = Object.fromEntries(Object.entries(value).map(([key, field]) => [camelCase(key), field]));
  for (const key of Object.keys(fields))
    if (!known.includes(key)) throw new HalftoneError("OPTION_INVALID", `${place}, field '${key}'`, "an unknown field", known.join(", "));
  return fields;
}

function entryOf(entry: unknown, place: string): Fields {
  if (typeof entry === "string") return { model: entry };
  const fields = checkFields(entry, ["model", ...modelFields], place);
  return typeof fields.model === "string" ? fields : missing(place, "model", "a float model's path");
}

function choicesOf(axis: Axis, fields: Fields, options: QuantizeOptions, place: (key: string) => string): Choice[] {
  const labels = listOf(fields[axis.field] ?? axis.of(options)).map((label) => textOf(label, place(axis.field)));
  if (labels.length === 0) throw new HalftoneError("OPTION_INVALID", place(axis.field), "an empty list", "one value or more");
  if (new Set(labels).size < labels.length)
    throw new HalftoneError("OPTION_INVALID", place(axis.field), labels.join(", "), "each value once");
  return labels.map((label) => ({ label, set: attempt(() => axis.parse(label), place(axis.field)) }));
}

/** File names without their extension, or whole paths where those are not enough. */
function namesOf(paths: readonly string[]): readonly string[] {
  const short = paths.map((path) => basename(path, ".onnx"));
  return new Set(short).size === paths.length ? short : paths;
}

const flagOf = (flags: SweepFlags, key: (typeof planFields)[number]): unknown => (key === "options" ? undefined : flags[key]);
const pick = (fields: Fields, keys: readonly string[]): Fields =>
  Object.fromEntries(keys.flatMap((key) => (key in fields ? [[key, fields[key]]] : [])));
const camelCase = (key: string): string => key.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
const kebabCase = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** A list, one value, or text with commas. */
const listOf = (value: unknown): unknown[] =>
  Array.isArray(value) ? value : typeof value === "string" ? value.split(",").map((part) => part.trim()) : [value];

/** As a flag would be written: lists with commas. */
function textOf(value: unknown, place: string): string {
  if (Array.isArray(value)) return value.map((part) => textOf(part, place)).join(",");
  if (typeof value === "string" || typeof value === "number") return String(value);
  throw new HalftoneError("OPTION_INVALID", place, JSON.stringify(value), "text or a number");
}

const countOf = (value: unknown, place: string): number => attempt(() => parseCount(textOf(value, place)), place);

/** Paths of one data set: IMAGES,LABELS are two. */
const fromFolder = (folder: string, path: string): string =>
  path
    .split(",")
    .map((part) => (folder === "" || isAbsolute(part) ? part : join(folder, part)))
    .join(",");

/** A parser's complaint with its place. */
function attempt<T>(parse: () => T, place: string): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof HalftoneError) throw error;
    const [, found, expected] = /^found (.*), expected (.*)$/.exec((error as Error).message) ?? [];
    throw new HalftoneError("OPTION_INVALID", place, found ?? "something else", expected ?? "a valid value");
  }
}

function missing(place: string, flag: string, expected: string): never {
  throw new HalftoneError("OPTION_INVALID", place, "nothing", expected, `Name it in the plan, or by ${flag}.`);
}
