#!/usr/bin/env node
import { run } from "@stricli/core";
import { app } from "./app.ts";
import { exitCodes } from "./terminal.ts";

// A reader that has seen enough, as in `halftone inspect … | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? exitCodes.done : exitCodes.failure));
await run(app, process.argv.slice(2), { process });
// The parser's own codes are negative: all of them mean that the command line is wrong.
if (Number(process.exitCode) < 0) {
  process.exitCode = exitCodes.usage;
  process.stderr.write("`halftone --help` lists the commands, `halftone COMMAND --help` shows a command with examples.\n");
}
