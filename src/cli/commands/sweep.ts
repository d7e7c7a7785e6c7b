import { buildCommand, type Command, type CommandContext } from "@stricli/core";
import { dataPaths, labelOffsetFlag, parseCount, type PreprocessFlags, preprocessFlags, workersFlag } from "../data-flags.ts";
import { type QueueFlags, queueFlags } from "../queue-flags.ts";
import { type CommonFlags, jsonFlag } from "../terminal.ts";

export interface SweepFlags extends PreprocessFlags, QueueFlags, CommonFlags {
  readonly models?: string | undefined;
  readonly data?: string | undefined;
  readonly test?: string | undefined;
  readonly labels?: string | undefined;
  readonly labelOffset?: number | undefined;
  readonly samples?: number | undefined;
  readonly limit?: number | undefined;
  readonly weights?: string | undefined;
  readonly activations?: string | undefined;
  readonly methods?: string | undefined;
  readonly ranges?: string | undefined;
  readonly seeds?: string | undefined;
  readonly recipe?: string | undefined;
  readonly workers?: number | undefined;
  readonly output: string;
}

const text = (brief: string, placeholder: string) => ({ kind: "parsed", parse: String, optional: true, brief, placeholder }) as const;
const whole = (brief: string) => ({ kind: "parsed", parse: parseCount, optional: true, brief, placeholder: "N" }) as const;

export const sweepCommand: Command<CommandContext> = buildCommand<SweepFlags, [string?]>({
  loader: async () => (await import("./sweep.run.ts")).run,
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ brief: "What to vary; flags win over it", parse: String, placeholder: "PLAN.yaml", optional: true }],
    },
    flags: {
      models: text("Float models, with commas between them", "A.onnx,B.onnx"),
      data: text(`Calibration samples: ${dataPaths}`, "PATH"),
      test: text("Samples to measure on", "PATH"),
      labels: text("Names of the classes, one a line", "FILE"),
      labelOffset: { ...labelOffsetFlag, default: undefined, optional: true },
      ...preprocessFlags,
      samples: whole("Calibration samples, evenly spread over the data (512)"),
      limit: whole("Use only the first N samples of --test"),
      weights: text("Weight codes (int8)", "int8,int4"),
      activations: text("Activation codes (int8); float: weights are judged alone", "int8,int4,float"),
      methods: text("How weights are rounded, each with cells of its row (nearest)", "METHOD[ CELL=X],…"),
      ranges: text("How activation ranges are found (mse)", "mse,minmax"),
      seeds: text("Seeds of methods that draw (0)", "0,1,2"),
      recipe: text("A JSON file with options that stay the same", "FILE.json"),
      workers: workersFlag,
      ...queueFlags,
      output: {
        kind: "parsed",
        parse: String,
        placeholder: "FOLDER",
        brief: "Tables, plot, and a file for each finished task: a killed sweep continues",
      },
      json: jsonFlag,
    },
    aliases: { o: "output" },
  },
  docs: {
    brief: "Try models, formats, methods and seeds in every combination",
    fullDescription: [
      "Calibrates each model once, makes an integer program of each combination, and writes what it measures as table.csv, table.json, table.md",
      "and plot.svg. Finished tasks are kept in the folder: the same command continues where a sweep was stopped, to the same bytes.",
      "",
      "Examples:",
      "  halftone sweep examples/sweep/fashion.yaml -o out/sweep",
      "  halftone sweep --models a.onnx,b.onnx --data calib/ --test val/ --weights int8,int4 --methods nearest,gptq -o out/sweep",
      "  halftone sweep plan.yaml --methods 'gptq,qdrop iterations=500 batch=16' --seeds 0,1,2 -o out/seeds",
      "  halftone sweep plan.yaml --queue redis://10.0.0.7:6379 -o out/sweep",
    ].join("\n"),
  },
});
