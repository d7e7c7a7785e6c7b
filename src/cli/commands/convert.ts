import { buildCommand, type Command, type CommandContext } from "@stricli/core";
import { type PreprocessFlags, preprocessFlags } from "../data-flags.ts";
import { type CommonFlags, jsonFlag } from "../terminal.ts";

export interface ConvertFlags extends PreprocessFlags, CommonFlags {
  readonly output: string;
  readonly cut?: readonly string[] | undefined;
  readonly labels?: string | undefined;
}

export const convertCommand: Command<CommandContext> = buildCommand<ConvertFlags, [string]>({
  loader: async () => (await import("./convert.run.ts")).run,
  parameters: {
    positional: { kind: "tuple", parameters: [{ brief: "A quantized model", parse: String, placeholder: "MODEL.onnx" }] },
    flags: {
      output: { kind: "parsed", parse: String, placeholder: "OUT.halftone", brief: "Where to write the integer program" },
      cut: {
        kind: "parsed",
        parse: String,
        optional: true,
        variadic: true,
        placeholder: "VALUE",
        brief: "End the program at this value: what computes from it is left to the caller. Repeatable",
      },
      ...preprocessFlags,
      labels: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "FILE",
        brief: "Names of the classes, one a line; the plan remembers them",
      },
      json: jsonFlag,
    },
    aliases: { o: "output" },
  },
  docs: {
    brief: "Turn a model quantized elsewhere into an integer program",
    fullDescription: [
      "Takes QDQ models (QuantizeLinear, DequantizeLinear) and models of operators on codes (QLinearConv, QLinearMatMul, ONNX Runtime's",
      "QGemm, QLinearAdd …) with the codes, scales and biases they have. What has no integer form is refused by name.",
      "Preprocessing flags are kept in the program; without any it takes real numbers and codes, not bytes.",
      "",
      "Examples:",
      "  halftone convert mobilenetv2.qdq.onnx --preprocess preprocessor_config.json -o mobilenetv2.halftone",
      "  halftone convert classifier.int8.onnx --cut logits --mean 0.5 --std 0.5 -o classifier.halftone",
    ].join("\n"),
  },
});
