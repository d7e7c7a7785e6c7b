import { buildCommand, type Command, type CommandContext } from "@stricli/core";
import { parseCount } from "../data-flags.ts";
import { type CommonFlags, jsonFlag } from "../terminal.ts";

export interface BenchFlags extends CommonFlags {
  readonly against?: string | undefined;
  readonly rounds: number;
  readonly layers: boolean;
}

export const benchCommand: Command<CommandContext> = buildCommand<BenchFlags, [string]>({
  loader: async () => (await import("./bench.run.ts")).run,
  parameters: {
    positional: { kind: "tuple", parameters: [{ brief: "A float model or an integer program", parse: String, placeholder: "FILE" }] },
    flags: {
      against: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "OTHER",
        brief: "Time this one too, in turns, so that the ratio is fair on a busy machine",
      },
      rounds: { kind: "parsed", parse: parseCount, default: "31", placeholder: "N", brief: "How many rounds" },
      layers: { kind: "boolean", default: false, brief: "Show where an integer program's time goes, step by step" },
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Time one sample on one thread",
    fullDescription: "Examples:\n  halftone bench model.halftone --against model.onnx\n  halftone bench model.halftone --layers",
  },
});
