import { encodeNpy, memorySource, readElement, readNpyHeader } from "../../data/index.ts";
import { HalftoneError } from "../../errors.ts";
import { createSession, type InputTensor, type Session } from "../../runtime/index.ts";
import { prepareFolder, readBytes, writeWhole } from "../files.ts";
import { openModel } from "../models.ts";
import { guarded, printJson, say } from "../terminal.ts";
import type { RunFlags } from "./run.ts";

export const run = (flags: RunFlags, path: string): Promise<void> =>
  guarded(flags, async (signal) => {
    const session = await createSession(await openModel(path, "integer"), { signal });
    const names = (indices: readonly number[]): string[] => indices.map((i) => session.plan.values[i]!.name);
    const inputs: Record<string, InputTensor> = {};
    for (const [name, file] of assign(flags.input, names(session.plan.inputs), "--input"))
      inputs[name] = await readInput(file, name, session.plan);
    const targets = assign(flags.output, names(session.plan.outputs), "--output");
    for (const file of targets.values()) await prepareFolder(file);
    const outputs = session.runBatch(inputs);
    const written = [];
    for (const [name, file] of targets) {
      const { dims, values } = outputs[name]!;
      await writeWhole(file, encodeNpy(values, dims));
      written.push({ name, file, dims });
      if (!flags.json) say("wrote", `${file} · ${name} float32 [${dims.join(", ")}]`);
    }
    if (flags.json) printJson({ written });
  });

/** `NAME=FILE`, or files in the plan's own order. */
function assign(given: readonly string[], names: readonly string[], flag: string): Map<string, string> {
  const assigned = new Map<string, string>();
  for (const [i, text] of given.entries()) {
    const named = names.find((name) => text.startsWith(`${name}=`));
    const name = named ?? names[i];
    if (name === undefined)
      throw new HalftoneError("OPTION_INVALID", `${flag} ${text}`, `${given.length} files`, `${names.length}: ${names.join(", ")}`);
    assigned.set(name, named ? text.slice(named.length + 1) : text);
  }
  return assigned;
}

const arrays = { float32: Float32Array, int8: Int8Array, uint8: Uint8Array } as const;

async function readInput(file: string, name: string, plan: Session["plan"]): Promise<InputTensor> {
  const bytes = await readBytes(file);
  const header = await readNpyHeader(memorySource(file, bytes));
  const { dims } = plan.values[plan.inputs.find((i) => plan.values[i]!.name === name)!]!;
  if (!(header.dtype in arrays)) throw new HalftoneError("INPUT_MISMATCH", file, header.dtype, "float32, int8 codes or uint8 bytes");
  const length = header.dims.reduce((product, d) => product * d, 1);
  const data = new arrays[header.dtype as keyof typeof arrays](length);
  const view = new DataView(bytes.buffer, bytes.byteOffset + header.dataStart);
  for (let i = 0; i < length; i++) data[i] = readElement(view, i * data.BYTES_PER_ELEMENT, header.dtype);
  return { dims: header.dims.length === dims.length ? [1, ...header.dims] : header.dims, data };
}
