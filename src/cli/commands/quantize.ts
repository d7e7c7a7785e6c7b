import { buildCommand, type Command, type CommandContext } from "@stricli/core";
import type { RangeRuleName } from "../../quantized/options.ts";
import { dataPaths, labelOffsetFlag, parseCount, type PreprocessFlags, preprocessFlags, workersFlag } from "../data-flags.ts";
import { type CommonFlags, jsonFlag } from "../terminal.ts";

export interface QuantizeFlags extends PreprocessFlags, CommonFlags {
  readonly data: string;
  readonly samples?: number | undefined;
  readonly weights?: number | undefined;
  readonly activations?: number | undefined;
  readonly granularity?: "channel" | "tensor" | undefined;
  readonly ranges?: RangeRuleName | undefined;
  readonly method?: "nearest" | undefined;
  readonly residual?: "wide" | "codes" | undefined;
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
        brief: "How many samples to calibrate on, evenly spread over the data (512)",
      },
      ...preprocessFlags,
      weights: width("Weight codes"),
      activations: width("Activation codes"),
      granularity: {
        kind: "enum",
        values: ["channel", "tensor"],
        optional: true,
        brief: "One weight scale per output channel, or per tensor",
      },
      ranges: {
        kind: "enum",
        values: ["mse", "minmax", "percentile", "entropy"],
        optional: true,
        brief: "How activation ranges are found",
      },
      method: { kind: "enum", values: ["nearest"], optional: true, brief: "How weights are rounded" },
      residual: {
        kind: "enum",
        values: ["wide", "codes"],
        optional: true,
        brief: "Residual sums from 32-bit accumulators, or from 8-bit codes",
      },
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
