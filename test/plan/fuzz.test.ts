import { expect, test } from "vitest";
import { HalftoneError } from "../../src/errors.ts";
import { interpretPlan } from "../../src/lower/interpret.ts";
import { planHash } from "../../src/plan/hash.ts";
import { logicalElements } from "../../src/plan/layout.ts";
import { readPlan } from "../../src/plan/reader.ts";
import type { Plan } from "../../src/plan/types.ts";
import { writePlan } from "../../src/plan/writer.ts";
import { createSession } from "../../src/runtime/index.ts";
import { withGolden } from "../../src/runtime/record.ts";
import { integerModule } from "../runtime/kernels.ts";
import { Dice, randomPlan } from "./random.ts";

const mutants = Number(process.env.HALFTONE_FUZZ ?? 20_000);
const seeds = 40;

/** The parts of a file, so that a mutation can be wrapped up again with a right hash. */
interface Parts {
  readonly metadata: Record<string, string>;
  readonly table: Record<string, unknown>;
  readonly data: Uint8Array;
}

function take(file: Uint8Array): Parts {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const { __metadata__: metadata, ...table } = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  return { metadata, table, data: file.slice(8 + length) };
}

async function wrap({ metadata, table, data }: Parts): Promise<Uint8Array> {
  const lines = Object.entries(table as Record<string, { dtype: string; data_offsets: [number, number] }>)
    .sort(([, a], [, b]) => (a?.data_offsets?.[0] ?? 0) - (b?.data_offsets?.[0] ?? 0))
    .map(([name, e]) => `${JSON.stringify(name)} ${e?.dtype} ${e?.data_offsets?.[0]} ${e?.data_offsets?.[1]}\n`);
  const hash = await planHash(String(metadata.halftone), lines.join(""), data);
  const json = new TextEncoder().encode(JSON.stringify({ __metadata__: { ...metadata, hash }, ...table }));
  const pad = (16 - ((8 + json.length) % 16)) % 16;
  const file = new Uint8Array(8 + json.length + pad + data.length).fill(0x20, 8, 8 + json.length + pad);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length + pad), true);
  file.set(json, 8);
  file.set(data, 8 + json.length + pad);
  return file;
}

const hostile: readonly unknown[] = [
  ...[0, 1, -1, 2, 3, 7, 8, 16, 127, 128, -128, -129, 255, 1024, 65_535, 65_536, 2 ** 20, 2 ** 30, 2 ** 31 - 1, 2 ** 31, -(2 ** 31)],
  ...[2 ** 32, 2 ** 53, 1e300, -1e300, 0.5, null, true, false, "", "t0", "even", "single", "conv", "copy", "softmax", "__proto__", [], {}],
  ...[[1], [1, 1], [0, 0], [1, 1, 1, 1], [2 ** 30, 2 ** 30], [[1]], { kind: "accumulator" }],
];

type Node = Record<string | number, unknown>;

/** A random place in a JSON tree: its holder and key. */
function spot(dice: Dice, root: Node): [Node, string] {
  let holder = root;
  for (;;) {
    const keys = Object.keys(holder);
    const key = keys[dice.next() % keys.length]!;
    const child = holder[key];
    if (typeof child !== "object" || child === null || Object.keys(child).length === 0 || dice.chance(4)) return [holder, key];
    holder = child as Node;
  }
}

function change(dice: Dice, root: Node): void {
  const [holder, key] = spot(dice, root);
  const old = holder[key];
  const near = typeof old === "number" && dice.chance(50);
  if (near) holder[key] = dice.pick([old + 1, old - 1, old * 2, -old, old + 8, old + 16, old - 16]);
  else if (dice.chance(5)) delete holder[key];
  else if (dice.chance(20)) {
    const [other, from] = spot(dice, root);
    holder[key] = structuredClone(other[from]);
  } else holder[key] = structuredClone(dice.pick(hostile));
}

/** One row per kind of damage. */
const damages: readonly ((dice: Dice, file: Uint8Array) => Promise<Uint8Array>)[] = [
  async (dice, file) => {
    const copy = file.slice();
    for (let i = dice.between(1, 4); i > 0; i--) copy[dice.next() % copy.length]! ^= 1 << dice.between(0, 7);
    return copy;
  },
  async (dice, file) => file.slice(0, dice.next() % file.length),
  async (dice, file) => {
    const parts = take(file);
    for (let i = dice.between(1, 3); i > 0; i--) change(dice, parts.table as Node);
    return wrap(parts);
  },
  async (dice, file) => {
    const parts = take(file);
    change(dice, parts.metadata as Node);
    return wrap(parts);
  },
  async (dice, file) => {
    const parts = take(file);
    for (let i = dice.between(1, 8); i > 0 && parts.data.length > 0; i--) parts.data[dice.next() % parts.data.length] = dice.next();
    return wrap(parts);
  },
  ...Array.from({ length: 5 }, () => async (dice: Dice, file: Uint8Array) => {
    const parts = take(file);
    const program = JSON.parse(parts.metadata.halftone!) as Node;
    for (let i = dice.pick([1, 1, 1, 2, 3]); i > 0; i--) change(dice, program);
    return wrap({ ...parts, metadata: { ...parts.metadata, halftone: JSON.stringify(program) } });
  }),
];

/** What the reader lets through runs, and means what the interpreter says. */
async function run(plan: Plan, wasm: WebAssembly.Module, dice: Dice): Promise<void> {
  const session = await createSession(plan, { wasm });
  const inputs = Object.fromEntries(plan.inputs.map((i) => [plan.values[i]!.name, dice.codes(logicalElements(plan.values[i]!))]));
  const results = session.run(inputs);
  for (const [name, codes] of Object.entries(interpretPlan(plan, inputs))) expect(results[name]!.codes).toEqual(codes);
  // A damaged program may answer otherwise than it once did, but it says so.
  session.verify();
}

test(`${mutants} damaged plans: each runs as the interpreter does, or is refused with a HalftoneError`, { timeout: 600_000 }, async () => {
  const wasm = await integerModule();
  const files = await Promise.all(
    Array.from({ length: seeds }, async (_, seed) => {
      const plan = randomPlan(1000 + seed, 6);
      return writePlan(seed % 2 === 0 ? plan : await withGolden(plan, { wasm }));
    }),
  );
  const outcomes = { ran: 0, refused: 0 };
  for (let i = 0; i < mutants; i++) {
    const dice = new Dice(i + 1);
    const bytes = await damages[i % damages.length]!(dice, dice.pick(files));
    const started = performance.now();
    try {
      await run(await readPlan(bytes, { verify: i % damages.length !== 0 }), wasm, dice);
      outcomes.ran++;
    } catch (error) {
      if (!(error instanceof HalftoneError)) throw new Error(`mutant ${i}: ${error instanceof Error ? error.stack : error}`);
      expect(error.message.length, `mutant ${i}: ${error.message}`).toBeLessThan(600);
      outcomes.refused++;
    }
    expect(performance.now() - started, `milliseconds of mutant ${i}`).toBeLessThan(10_000);
  }
  console.log(`damaged plans: ${outcomes.ran} ran, ${outcomes.refused} refused`);
  expect(outcomes.ran).toBeGreaterThan(mutants / 100);
  expect(outcomes.refused).toBeGreaterThan(mutants / 3);
});
