import { buildApplication, buildRouteMap } from "@stricli/core";
import { benchCommand } from "./commands/bench.ts";
import { convertCommand } from "./commands/convert.ts";
import { evaluateCommand } from "./commands/evaluate.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { quantizeCommand } from "./commands/quantize.ts";
import { runCommand } from "./commands/run.ts";

const root = buildRouteMap({
  routes: {
    quantize: quantizeCommand,
    convert: convertCommand,
    evaluate: evaluateCommand,
    inspect: inspectCommand,
    run: runCommand,
    bench: benchCommand,
  },
  docs: { brief: "Float ONNX networks become integer programs that run the same everywhere" },
});

export const app: ReturnType<typeof buildApplication> = buildApplication(root, {
  name: "halftone",
  scanner: { caseStyle: "allow-kebab-for-camel" },
  documentation: { caseStyle: "convert-camel-to-kebab" },
});
