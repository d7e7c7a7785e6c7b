// A folder that a killed reconstruction continues from: what the run was made of, and one file for each part that is done.
import type { PartStore } from "../checkpoints.ts";
import type { Dataset } from "../data/index.ts";
import { spread } from "../data/spread.ts";
import { HalftoneError } from "../errors.ts";
import { sha256 } from "../tasks/hash.ts";
import { folderStore } from "./store.ts";

/** Everything that a part's result depends on. */
export interface RunIdentity {
  readonly model: Uint8Array;
  readonly dataset: Dataset;
  readonly samples: number;
  /** Options and preprocessing, plain data. */
  readonly options: unknown;
}

/** File of the manifest. */
const manifestName = "run.json";
/** What a field of the manifest is called in messages. */
const fields = { model: "the model", data: "the calibration data", options: "the options" } as const;
type Manifest = Record<keyof typeof fields, string>;

/**
 * Opens a folder of checkpoints, made if it is not there.
 *
 * @throws HalftoneError OPTION_INVALID when it was written by a run of another model, data or options, naming which; FILE_UNWRITABLE
 */
export async function openCheckpoints(folder: string, identity: RunIdentity): Promise<PartStore> {
  const manifest: Manifest = {
    model: await sha256(identity.model),
    data: await fingerprint(identity.dataset, Math.min(identity.samples, identity.dataset.length)),
    options: JSON.stringify(identity.options),
  };
  const store = await folderStore(folder);
  const found = await store.get(manifestName);
  if (found) refuseOthers(folder, parsed(found), manifest);
  else await store.put(manifestName, new TextEncoder().encode(`${JSON.stringify(manifest, null, 2)}\n`));
  return store;
}

/** A file of that name that others wrote is no manifest: none of its fields is ours. */
function parsed(bytes: Uint8Array): Partial<Manifest> {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) ?? {};
  } catch {
    return {};
  }
}

function refuseOthers(folder: string, found: Partial<Manifest>, expected: Manifest): void {
  for (const [key, name] of Object.entries(fields) as [keyof Manifest, string][]) {
    if (found[key] === expected[key]) continue;
    throw new HalftoneError(
      "OPTION_INVALID",
      `--checkpoints ${folder}`,
      `parts learned with another ${name.slice("the ".length)}`,
      `${name} of this run`,
      "Name another folder, or remove this one.",
    );
  }
}

/** One hash of all samples in the order they are learned from. */
async function fingerprint(dataset: Dataset, samples: number): Promise<string> {
  const hashes: string[] = [];
  const learned = spread(dataset, samples);
  for (let start = 0; start < learned.length; start += 64) {
    for (const { bytes } of await learned.read(start, Math.min(start + 64, learned.length))) hashes.push(await sha256(bytes));
  }
  return sha256(new TextEncoder().encode(hashes.join()));
}
