import { buildCommand, type Command, type CommandContext } from "@stricli/core";
import { type CommonFlags, jsonFlag } from "../terminal.ts";

export interface RunFlags extends CommonFlags {
  readonly input: readonly string[];
  readonly output: readonly string[];
}

export const runCommand: Command<CommandContext> = buildCommand<RunFlags, [string]>({
  loader: async () => (await import("./run.run.ts")).run,
  parameters: {
    positional: { kind: "tuple", parameters: [{ brief: "An integer program", parse: String, placeholder: "PLAN.halftone" }] },
    flags: {
      input: {
        kind: "parsed",
        parse: String,
        variadic: true,
        placeholder: "[NAME=]X.npy",
        brief: "Preprocessed float32 samples [N, …], int8 codes, or uint8 bytes; one for each input",
      },
      output: {
        kind: "parsed",
        parse: String,
        variadic: true,
        placeholder: "[NAME=]Y.npy",
        brief: "Where to write real outputs [N, …], float32; one for each output",
      },
      json: jsonFlag,
    },
    aliases: { i: "input", o: "output" },
  },
  docs: {
    brief: "Run an integer program on arrays",
    fullDescription: "Example:\n  halftone run model.halftone --input x.npy --output y.npy",
  },
});
