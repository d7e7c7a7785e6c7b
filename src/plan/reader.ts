import { HalftoneError } from "../errors.ts";
import { checkProgram, checkVersions } from "./check.ts";
import { parse } from "./container.ts";
import { malformed, object, show } from "./fields.ts";
import { planHash } from "./hash.ts";
import { program } from "./program.ts";
import type { Plan } from "./types.ts";

export { checkPlan } from "./check.ts";

/** `__metadata__.format` of plans. */
export const planFormat = "halftone";

export interface ReadPlanOptions {
  /** false skips the sha-256 of program and tensors; every other check is made all the same. */
  readonly verify?: boolean | undefined;
}

function parseJson(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw malformed(place, `no JSON (${String(error)})`, "a JSON object");
  }
}

function required(metadata: Readonly<Record<string, string>>, key: string): string {
  const word = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
  if (word === undefined) throw malformed("plan __metadata__", `no '${key}'`, "one", "The file is a safetensors file, but no plan.");
  return word;
}

/**
 * A plan from the bytes of a file (docs/plan-format.md). Tensors are views of `bytes` where its alignment allows.
 *
 * @throws HalftoneError PLAN_MALFORMED naming byte, step or tensor; PLAN_VERSION for plans of another version
 */
export async function readPlan(bytes: Uint8Array, options: ReadPlanOptions = {}): Promise<Plan> {
  const { metadata, tensors, table, data } = parse(bytes);
  const text = required(metadata, "halftone");
  if (required(metadata, "format") !== planFormat) throw malformed("plan __metadata__.format", show(metadata.format), `'${planFormat}'`);
  const fields = object(parseJson(text, "plan __metadata__.halftone"), "plan");
  checkVersions(fields.version, fields.arithmetic);
  if (options.verify !== false) {
    const [found, expected] = [required(metadata, "hash"), await planHash(text, table, data)];
    if (found !== expected)
      throw new HalftoneError(
        "PLAN_MALFORMED",
        "plan hash",
        show(found),
        expected,
        "The file was damaged or edited; write it anew from the model.",
      );
  }
  const provenance =
    metadata.provenance === undefined
      ? undefined
      : object(parseJson(metadata.provenance, "plan __metadata__.provenance"), "plan __metadata__.provenance");
  const plan: Plan = { ...program(fields, "plan"), tensors, ...(provenance && { provenance }) };
  checkProgram(plan);
  return plan;
}
