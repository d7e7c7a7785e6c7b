#!/usr/bin/env node
import { main } from "./app.ts";
import { exitCodes } from "./terminal.ts";

// A reader that has seen enough, as in `halftone inspect … | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? exitCodes.done : exitCodes.failure));
await main(process.argv.slice(2));
