// Node itself, reading the plan's bytes: what the others' figures contain.
import { readFileSync } from "node:fs";
import { report } from "./report.mjs";

const bytes = readFileSync(process.argv[2]);
report({ linear: 0, planBytes: bytes.length });
