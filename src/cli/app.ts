import { buildApplication, buildRouteMap, run } from "@stricli/core";
import { version } from "../version.ts";
import { benchCommand } from "./commands/bench.ts";
import { convertCommand } from "./commands/convert.ts";
import { evaluateCommand } from "./commands/evaluate.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { quantizeCommand } from "./commands/quantize.ts";
import { runCommand } from "./commands/run.ts";
import { sweepCommand } from "./commands/sweep.ts";
import { workerCommand } from "./commands/worker.ts";
import { exitCodes } from "./terminal.ts";

const root = buildRouteMap({
  routes: {
    quantize: quantizeCommand,
    convert: convertCommand,
    evaluate: evaluateCommand,
    sweep: sweepCommand,
    worker: workerCommand,
    inspect: inspectCommand,
    run: runCommand,
    bench: benchCommand,
  },
  docs: { brief: "Float ONNX networks become integer programs that run the same everywhere" },
});

const app = buildApplication(root, {
  name: "halftone",
  versionInfo: { currentVersion: version },
  scanner: { caseStyle: "allow-kebab-for-camel" },
  documentation: { caseStyle: "convert-camel-to-kebab" },
});

/** Runs the command line; the outcome is in `process.exitCode`. */
export async function main(args: readonly string[]): Promise<void> {
  await run(app, args, { process });
  // The parser's own codes are negative: all of them mean that the command line is wrong.
  if (Number(process.exitCode) < 0) {
    process.exitCode = exitCodes.usage;
    process.stderr.write("`halftone --help` lists the commands, `halftone COMMAND --help` shows a command with examples.\n");
  }
}
