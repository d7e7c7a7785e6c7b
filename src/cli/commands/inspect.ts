import { buildCommand, type Command, type CommandContext } from "@stricli/core";
import { labelOffsetFlag, parseCount, type PreprocessFlags, preprocessFlags } from "../data-flags.ts";
import { type CommonFlags, jsonFlag } from "../terminal.ts";

export interface InspectFlags extends PreprocessFlags, CommonFlags {
  readonly against?: string | undefined;
  readonly data?: string | undefined;
  readonly samples: number;
  readonly labelOffset: number;
}

export const inspectCommand: Command<CommandContext> = buildCommand<InspectFlags, [string]>({
  loader: async () => (await import("./inspect.run.ts")).run,
  parameters: {
    positional: { kind: "tuple", parameters: [{ brief: "A float model or an integer program", parse: String, placeholder: "FILE" }] },
    flags: {
      against: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "FLOAT.onnx",
        brief: "Show the drift of every layer of a plan from this model (with --data)",
      },
      data: { kind: "parsed", parse: String, optional: true, placeholder: "PATH", brief: "Samples to measure the drift on" },
      samples: { kind: "parsed", parse: parseCount, default: "16", placeholder: "N", brief: "How many of them" },
      ...preprocessFlags,
      labelOffset: labelOffsetFlag,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Show what is in a model or a plan, layer by layer",
    fullDescription: [
      "Operators, shapes, formats, scales, accumulator intervals, bytes of each layer, and the arithmetic contract.",
      "",
      "Examples:",
      "  halftone inspect model.halftone",
      "  halftone inspect model.halftone --against model.onnx --data val/",
    ].join("\n"),
  },
});
