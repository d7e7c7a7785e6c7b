// One row per published method, with the settings of its released code. A row is data: no code may ask for a preset by name.
import type { GramMethod } from "./gram/round.ts";
import type { Method, NetworkMethod, Objective, ObjectiveName, Schedule } from "./methods.ts";
import { defaultTemperature } from "./schedules.ts";

const schedule: Schedule = {
  iterations: 20_000,
  batch: 32,
  optimizer: "adam",
  rate: 1e-3,
  course: "constant",
  lambda: 0.01,
  temperature: defaultTemperature,
  replacement: false,
};

/** Fisher weights as in Li et al. 2021 (BRECQ); the prediction difference as in Liu et al. 2023 (PD-Quant, residual networks). */
export const objectives: Readonly<Record<ObjectiveName, Objective>> = {
  output: { kind: "output", p: 2 },
  fisher: { kind: "fisher", p: 2, temperature: 1 },
  prediction: { kind: "prediction", p: 2, weight: 10, temperature: 4 },
};

const squares = objectives.output;
const float = { kind: "float" } as const;

/** Settings of our own (docs: methods). */
const whole: NetworkMethod = {
  budget: 300,
  batch: 16,
  rates: { codes: 6e-3, scales: 1e-3, biases: 5e-3, steps: 4e-3 },
  temperature: 4,
  featureWeight: 1,
  mix: 0.7,
};

/** No step of learning. */
const nearest: Method = {
  parametrization: "nearest",
  objective: squares,
  scope: "layer",
  activations: float,
  schedule: { ...schedule, iterations: 0 },
  weightRange: "mse",
  inputKeep: 1,
};

const gramRow = (gram: Partial<GramMethod>): Method => ({ ...nearest, gram });

/** Names of the rows of `presets`. */
export type PresetName =
  | "nearest"
  | "adaround"
  | "brecq"
  | "qdrop"
  | "flexround"
  | "pd-quant"
  | "power"
  | "nupes"
  | "gptq"
  | "gptq-descent"
  | "gram-adaround"
  | "auto";

export const presets: Readonly<Record<PresetName, Method>> = {
  nearest,
  /** Nagel et al. 2020, as released in AIMET. */
  adaround: {
    parametrization: "sigmoid",
    objective: squares,
    scope: "layer",
    activations: float,
    schedule: { ...schedule, iterations: 15_000, temperature: { ...defaultTemperature, shape: "cosine" } },
    weightRange: "mse",
    inputKeep: 1,
  },
  /** Li et al. 2021; its released results use the plain squared error. */
  brecq: {
    parametrization: "sigmoid",
    objective: squares,
    scope: "block",
    activations: float,
    schedule,
    weightRange: "mse",
    inputKeep: 1,
  },
  /** Wei et al. 2022. */
  qdrop: {
    parametrization: "sigmoid",
    objective: squares,
    scope: "block",
    activations: { kind: "quantized", keep: 0.5, rate: 4e-5, scaled: true },
    schedule: { ...schedule, replacement: true },
    weightRange: "mse-grid",
    inputKeep: 0.5,
  },
  /** Lee et al. 2023 in the setting of QDrop. */
  flexround: {
    parametrization: "division",
    objective: squares,
    scope: "block",
    activations: { kind: "quantized", keep: 0.5, rate: 4e-5, scaled: true },
    schedule: { ...schedule, iterations: 5000, rate: 4e-4, course: "cosine", lambda: 0, replacement: true },
    weightRange: "mse-grid",
    inputKeep: 0.5,
  },
  /** Liu et al. 2023, without its distribution correction. */
  "pd-quant": {
    parametrization: "sigmoid",
    objective: objectives.prediction,
    scope: "block",
    activations: { kind: "quantized", keep: 0.5, rate: 4e-5, scaled: false },
    schedule: { ...schedule, rate: 3e-3, replacement: true },
    weightRange: "mse-grid",
    inputKeep: 0.5,
  },
  /** Yvinec et al. 2023, "PowerQuant": the exponent that fits the weights best, nearest codes; no step of learning. */
  power: { ...nearest, parametrization: "power" },
  /** Yvinec et al. 2023, "NUPES": codes over the whole grid and its exponent, learned as BRECQ learns roundings. */
  nupes: {
    parametrization: "power",
    objective: squares,
    scope: "block",
    activations: float,
    schedule: { ...schedule, rate: 1e-2 },
    weightRange: "mse",
    inputKeep: 1,
  },
  /** Frantar et al. 2022, with the inputs of the quantized network, columns by falling input power, and the best biases. */
  gptq: gramRow({ start: "gptq", sweeps: 0 }),
  /** Followed by coordinate descent (Behdin et al. 2023) until no code moves. */
  "gptq-descent": gramRow({ start: "gptq", sweeps: 20 }),
  /** AdaRound on the matrices: every step sees all samples, and none of them is touched. */
  "gram-adaround": gramRow({ start: "adaround", sweeps: 0 }),
  /** Codes from matrices, then everything together: codes, scales, biases and step sizes, by what the float network answers. */
  auto: { ...gramRow({ start: "gptq", sweeps: 20 }), network: whole },
};
