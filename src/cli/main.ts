#!/usr/bin/env node
import { run } from "@stricli/core";
import { app } from "./app.ts";
import { exitCodes } from "./terminal.ts";

await run(app, process.argv.slice(2), { process });
// The parser's own codes are negative: all of them mean that the command line is wrong.
if (Number(process.exitCode) < 0) process.exitCode = exitCodes.usage;
