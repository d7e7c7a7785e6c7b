import { HalftoneError } from "../errors.ts";
import { checkProgram, checkVersions } from "./check.ts";
import { outline, parse } from "./container.ts";
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

/** The program's fields, of a version that this runtime knows. */
function programOf(metadata: Readonly<Record<string, string>>): Record<string, unknown> {
  const text = required(metadata, "halftone");
  if (required(metadata, "format") !== planFormat) throw malformed("plan __metadata__.format", show(metadata.format), `'${planFormat}'`);
  const fields = object(parseJson(text, "plan __metadata__.halftone"), "plan");
  checkVersions(fields.version, fields.arithmetic);
  return fields;
}

/**
 * The bytes of a plan as they arrive. What is no plan, or one of another version, is refused at its header; what follows is held once,
 * in memory of the size that the header gives.
 *
 * @throws HalftoneError PLAN_MALFORMED or PLAN_VERSION; whatever the stream throws
 */
export async function receivePlan(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const reader = stream.getReader();
  try {
    let file = new Uint8Array(1 << 16);
    let [length, size] = [0, undefined as number | undefined];
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const chunk = next.value;
      if (length + chunk.length > file.length) {
        if (size !== undefined) throw malformed(`plan byte ${size}`, "more bytes", "the end", "The file has been added to.");
        file = grown(file.subarray(0, length), 2 * (length + chunk.length));
      }
      file.set(chunk, length);
      length += chunk.length;
      if (size !== undefined) continue;
      const known = outline(file.subarray(0, length));
      if (known === undefined) continue;
      programOf(known.metadata);
      size = known.size;
      if (size > largestFile) throw malformed("plan header", `a file of ${size} bytes`, `at most ${largestFile}`);
      if (length > size) throw malformed(`plan byte ${size}`, `${length - size} bytes more`, "the end", "The file has been added to.");
      file = grown(file.subarray(0, length), size);
    }
    return file.subarray(0, length);
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** What linear memory could hold. */
const largestFile = 2 ** 31;

function grown(bytes: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(size);
  larger.set(bytes);
  return larger;
}

/**
 * A plan from the bytes of a file (docs/plan-format.md). Tensors are views of `bytes` where its alignment allows.
 *
 * @throws HalftoneError PLAN_MALFORMED naming byte, step or tensor; PLAN_VERSION for plans of another version
 */
export async function readPlan(bytes: Uint8Array, options: ReadPlanOptions = {}): Promise<Plan> {
  const { metadata, tensors, table, data } = parse(bytes);
  const fields = programOf(metadata);
  const text = metadata.halftone!;
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
