import { buildCommand, type Command, type CommandContext } from "@stricli/core";
import type { Draw, LearningOptions, RangeRuleName, WeightRangeName } from "../../quantized/options.ts";
import { type PresetName, presets } from "../../reconstruct/presets.ts";
import { dataPaths, labelOffsetFlag, parseCount, type PreprocessFlags, preprocessFlags, workersFlag } from "../data-flags.ts";
import { type CommonFlags, jsonFlag, parseDuration } from "../terminal.ts";

export interface QuantizeFlags extends PreprocessFlags, CommonFlags {
  readonly data: string;
  readonly samples?: number | undefined;
  readonly draw?: Draw | undefined;
  readonly weights?: number | undefined;
  readonly activations?: number | "float" | undefined;
  readonly granularity?: "channel" | "tensor" | undefined;
  readonly ranges?: RangeRuleName | undefined;
  readonly weightRanges?: WeightRangeName | undefined;
  readonly weightZeros?: "affine" | "symmetric" | undefined;
  readonly firstLast?: 0 | 8 | undefined;
  readonly method?: PresetName | undefined;
  readonly budget?: number | undefined;
  readonly iterations?: number | undefined;
  readonly batch?: number | undefined;
  readonly rate?: number | undefined;
  readonly scaleRate?: number | undefined;
  readonly lambda?: number | undefined;
  readonly objective?: "output" | "fisher" | "prediction" | undefined;
  readonly lr?: number | undefined;
  readonly scope?: LearningOptions["scope"];
  readonly optimizer?: LearningOptions["optimizer"];
  readonly course?: "constant" | "cosine" | undefined;
  readonly drop?: number | undefined;
  readonly parametrization?: LearningOptions["parametrization"];
  readonly loss?: LearningOptions["loss"];
  readonly compared?: LearningOptions["compared"];
  readonly predictionWeight?: number | undefined;
  readonly temperature?: number | undefined;
  readonly relaxation?: LearningOptions["relaxation"];
  readonly regularizer?: LearningOptions["regularizer"];
  readonly warmUp?: number | undefined;
  readonly weightSubset?: number | undefined;
  readonly displacement?: number | undefined;
  readonly warmStart?: LearningOptions["warmStart"];
  readonly augment?: LearningOptions["augment"];
  readonly activationPhase?: number | undefined;
  readonly outputWeights?: LearningOptions["outputWeights"];
  readonly checkpoints?: string | undefined;
  readonly residual?: "wide" | "codes" | undefined;
  readonly equalize?: boolean | undefined;
  readonly correct?: boolean | undefined;
  readonly exclude?: readonly string[] | undefined;
  readonly override?: readonly string[] | undefined;
  readonly recipe?: string | undefined;
  readonly seed?: number | undefined;
  readonly workers?: number | undefined;
  readonly output: readonly string[];
  readonly report?: string | undefined;
  readonly test?: string | undefined;
  readonly limit?: number | undefined;
  readonly labelOffset: number;
  readonly labels?: string | undefined;
}

/** "int8" → 8 */
export function parseWidth(text: string): number {
  const bits = Number(/^u?int([2-8])$/.exec(text)?.[1]);
  if (!bits) throw new Error(`found '${text}', expected int2 … int8`);
  return bits;
}

/** "float" stays, "int4" → 4 */
function parseActivations(text: string): number | "float" {
  return text === "float" ? text : parseWidth(text);
}

function parseFirstLast(text: string): 0 | 8 {
  if (text === "0" || text === "8") return Number(text) as 0 | 8;
  throw new Error(`found '${text}', expected 0 or 8`);
}

function parseReal(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new Error(`found '${text}', expected a number`);
  return value;
}

const real = (brief: string) => ({ kind: "parsed", parse: parseReal, optional: true, brief, placeholder: "X" }) as const;
const whole = (brief: string) => ({ kind: "parsed", parse: parseCount, optional: true, brief, placeholder: "N" }) as const;
const choice = <T extends string>(values: readonly T[], brief: string) => ({ kind: "enum", values, optional: true, brief }) as const;

const text = (brief: string, placeholder: string) => ({ kind: "parsed", parse: String, optional: true, brief, placeholder }) as const;
const width = (brief: string) => ({ kind: "parsed", parse: parseWidth, optional: true, brief, placeholder: "int8" }) as const;

export const quantizeCommand: Command<CommandContext> = buildCommand<QuantizeFlags, [string]>({
  loader: async () => (await import("./quantize.run.ts")).run,
  parameters: {
    positional: { kind: "tuple", parameters: [{ brief: "The float model", parse: String, placeholder: "MODEL.onnx" }] },
    flags: {
      data: { kind: "parsed", parse: String, placeholder: "PATH", brief: `Calibration samples: ${dataPaths}` },
      samples: {
        kind: "parsed",
        parse: parseCount,
        optional: true,
        placeholder: "N",
        brief: "How many samples to calibrate on (512)",
      },
      draw: choice(
        ["even", "random", "balanced"] as const,
        "Which of them: spread evenly over the data (default), by chance, or as many of each class",
      ),
      ...preprocessFlags,
      weights: width("Weight codes"),
      activations: {
        kind: "parsed",
        parse: parseActivations,
        optional: true,
        placeholder: "int8|float",
        brief: "Activation codes; float: weights are learned and measured with float activations, the program has int8",
      },
      granularity: {
        kind: "enum",
        values: ["channel", "tensor"],
        optional: true,
        brief: "One weight scale per output channel, or per tensor",
      },
      ranges: {
        kind: "enum",
        values: ["auto", "mse", "minmax", "percentile", "entropy"],
        optional: true,
        brief: "How activation ranges are found",
      },
      weightRanges: choice(["mse", "mse-grid", "minmax"], "How the ranges of weights of at most 7 bits are found (as the method does)"),
      weightZeros: choice(["affine", "symmetric"], "Zero points of weights of at most 7 bits (affine)"),
      firstLast: {
        kind: "parsed",
        parse: parseFirstLast,
        optional: true,
        placeholder: "8",
        brief: "Bits of the first and last layer's weights and the last layer's input; 0: as all others (8)",
      },
      method: choice(Object.keys(presets) as PresetName[], "How weights are rounded (nearest)"),
      budget: {
        kind: "parsed",
        parse: parseDuration,
        optional: true,
        placeholder: "5m",
        brief: "Time that learning may take on two processors, as a planned number of steps (method auto)",
      },
      iterations: whole("Steps of learning a part of the network (as published: 5000 … 20000)"),
      batch: whole("Samples a step (32)"),
      rate: real("Learning rate of the roundings"),
      lr: real("The same as --rate"),
      scaleRate: real("Learning rate of the activations' step sizes; 0: not learned"),
      lambda: real("Weight of the rounding regularizer"),
      objective: choice(["output", "fisher", "prediction"], "What a part's output is judged by"),
      loss: choice(
        ["output-mse", "mse", "mae", "huber", "nmse", "cosine", "output-kl", "lp"],
        "How an output is compared with its target (output-mse: squares, summed over channels)",
      ),
      compared: choice(["after", "before"], "Outputs are compared after a part's last activation (default), or before it"),
      predictionWeight: real("Weight of the prediction difference (10)"),
      temperature: real("Temperature of the answers' softmax, for --objective prediction and fisher"),
      scope: choice(["layer", "block", "stage"], "What is learned together"),
      optimizer: choice(["adam", "radam", "sgd", "adamax", "lion"], "How roundings are learned"),
      course: choice(["constant", "cosine"], "Course of the learning rate"),
      drop: real("Share of activations left in float while learning"),
      parametrization: choice(["nearest", "sigmoid", "division", "power"], "What is learned about a weight"),
      relaxation: choice(["rectifiedSigmoid", "sigmoid", "clippedLine", "tanh", "cosine"], "The soft function of a rounding"),
      regularizer: choice(["power", "quadratic", "none"], "What drives roundings to a decision"),
      warmUp: real("Share of the steps before the regularizer acts (0.2)"),
      weightSubset: real("Share of the weights that are learned: those nearest the middle between two codes (1)"),
      displacement: whole("How many codes further than up or down a weight may move (0)"),
      warmStart: choice(["none", "gptq"], "Where roundings start: at the weights, or at the codes of gptq"),
      augment: choice(["none", "noise", "move"], "Noise on the inputs of parts, or samples moved and mirrored besides"),
      activationPhase: whole("Steps of learning the activations' step sizes after all weights (brecq as released: 5000); 0: none"),
      outputWeights: choice(
        ["identity", "fisher"],
        "What errors of a layer's outputs count, for gptq, gptq-descent, gram-adaround and auto: alike, or as they change the answer",
      ),
      checkpoints: text("Keep each learned part in a folder; a killed run continues from it to the same bytes", "FOLDER"),
      residual: {
        kind: "enum",
        values: ["wide", "codes"],
        optional: true,
        brief: "Residual sums from 32-bit accumulators, or from 8-bit codes",
      },
      equalize: {
        kind: "boolean",
        optional: true,
        brief: "Stretch channels to a common reach (where codes have 8 bits and nothing is learned; auto at 3 and fewer)",
      },
      correct: { kind: "boolean", optional: true, brief: "Let biases make up for the mean error of rounded weights (likewise)" },
      exclude: { ...text("Keep a node in float (ONNX output only)", "NODE|/REGEX/"), variadic: true },
      override: { ...text("Other options for some nodes: '/REGEX/=weights:int8,ranges:minmax'", "NODES=OPTIONS"), variadic: true },
      recipe: text("A JSON file with all of these options; flags win", "FILE.json"),
      seed: { kind: "parsed", parse: parseCount, optional: true, placeholder: "N", brief: "Seed of everything random (0)" },
      workers: workersFlag,
      output: {
        kind: "parsed",
        parse: String,
        variadic: true,
        placeholder: "OUT",
        brief: "OUT.halftone: an integer program; OUT.onnx: a QDQ file. Repeatable",
      },
      report: text("Also write one HTML page with figures and pictures", "FILE.html"),
      test: text("Labelled samples to measure float and integer accuracy on", "PATH"),
      limit: { kind: "parsed", parse: parseCount, optional: true, placeholder: "N", brief: "Use only the first N samples of --test" },
      labelOffset: labelOffsetFlag,
      labels: text("Names of the classes, one a line; the plan remembers them", "FILE"),
      json: jsonFlag,
    },
    aliases: { o: "output" },
  },
  docs: {
    brief: "Turn a float ONNX model into integers",
    fullDescription: [
      "Calibrates activation ranges on samples, rounds weights to codes, and writes an integer program and/or a QDQ ONNX file.",
      "",
      "Examples:",
      "  halftone quantize mobilenetv2.onnx --data calib/ --preprocess preprocessor_config.json -o mobilenetv2.halftone",
      "  halftone quantize resnet20.onnx --data train_2048.bin --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 -o r.halftone -o r.onnx",
      "  halftone quantize kws.onnx --data x.npy --scale 0.5847 --mean 48.53 --std 1 --test x_test.npy,y_test.npy -o kws.halftone",
    ].join("\n"),
  },
});
