import { checkPlan } from "./check.ts";
import { compose, gather } from "./container.ts";
import { planHash } from "./hash.ts";
import { program } from "./program.ts";
import { planFormat } from "./reader.ts";
import type { Plan } from "./types.ts";

/** The program's JSON in the order of program.ts, whatever the order of keys in memory. */
function programText(plan: Plan): string {
  const { tensors: _tensors, provenance: _provenance, ...fields } = plan;
  return JSON.stringify(program(fields, "plan"));
}

/**
 * The bytes of a plan file (docs/plan-format.md): equal plans give equal bytes. The plan is checked first, so what was written can be read.
 *
 * @throws HalftoneError as readPlan
 */
export async function writePlan(plan: Plan): Promise<Uint8Array> {
  checkPlan(plan);
  const halftone = programText(plan);
  const { table, data } = gather(plan.tensors);
  const hash = await planHash(halftone, table, data);
  const provenance = plan.provenance && { provenance: JSON.stringify(plan.provenance) };
  return compose({ format: planFormat, hash, halftone, ...provenance }, plan.tensors);
}

/** Same program and tensors; where they come from is left out. */
export function plansEqual(a: Plan, b: Plan): boolean {
  if (programText(a) !== programText(b)) return false;
  const [x, y] = [gather(a.tensors), gather(b.tensors)];
  return x.table === y.table && x.data.length === y.data.length && x.data.every((byte, i) => byte === y.data[i]);
}
