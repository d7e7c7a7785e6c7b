// Under Node, Deno and Bun:  command.js JOB, as JSON; prints the answer as JSON.
import { readFile } from "node:fs/promises";
import process from "node:process";
import { main } from "./main.js";

const open = async (name) => new Uint8Array(await readFile(new URL(`fixtures/${name}`, import.meta.url)));
const answer = JSON.stringify(await main(JSON.parse(process.argv[2]), open));
// Deno cannot end a worker that spins for ever, and would wait for it.
process.stdout.write(answer, () => process.exit());
