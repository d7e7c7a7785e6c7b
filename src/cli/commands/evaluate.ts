import { buildCommand, type Command, type CommandContext } from "@stricli/core";
import { dataPaths, labelOffsetFlag, parseCount, type PreprocessFlags, preprocessFlags, workersFlag } from "../data-flags.ts";
import { type CommonFlags, jsonFlag } from "../terminal.ts";

export interface EvaluateFlags extends PreprocessFlags, CommonFlags {
  readonly data: string;
  readonly limit?: number | undefined;
  readonly skip?: number | undefined;
  readonly labelOffset: number;
  readonly against?: string | undefined;
  readonly workers?: number | undefined;
}

export const evaluateCommand: Command<CommandContext> = buildCommand<EvaluateFlags, [string]>({
  loader: async () => (await import("./evaluate.run.ts")).run,
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ brief: "A float model or an integer program", parse: String, placeholder: "MODEL.onnx|PLAN.halftone" }],
    },
    flags: {
      data: { kind: "parsed", parse: String, placeholder: "PATH", brief: `Labelled samples: ${dataPaths}` },
      limit: { kind: "parsed", parse: parseCount, optional: true, placeholder: "N", brief: "At most N samples" },
      skip: { kind: "parsed", parse: parseCount, optional: true, placeholder: "N", brief: "Leave out the first N samples" },
      ...preprocessFlags,
      labelOffset: labelOffsetFlag,
      against: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "FLOAT.onnx",
        brief: "Also compare with this model's answers and logits",
      },
      workers: workersFlag,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Measure accuracy, and agreement with another model",
    fullDescription: [
      "A plan remembers its preprocessing: it needs no flags but --data. A float model takes the flags it was quantized with.",
      "",
      "Examples:",
      "  halftone evaluate mobilenetv2.halftone --data val/ --against mobilenetv2.onnx",
      "  halftone evaluate lenet.onnx --data t10k-images-idx3-ubyte.gz,t10k-labels-idx1-ubyte.gz --json",
    ].join("\n"),
  },
});
