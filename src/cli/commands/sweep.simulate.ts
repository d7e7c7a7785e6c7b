// A sweep under simulated schedules: what becomes of it must not depend on who does what when, or how often.
import { createSimulator, type Happened } from "../../tasks/executors/simulator.ts";
import { sweepKinds } from "../../sweep/kinds.ts";
import { sweep } from "../../sweep/sweep.ts";
import { toJson } from "../../sweep/table.ts";
import type { SweepPlan } from "../../sweep/types.ts";
import { sha256 } from "../../tasks/hash.ts";
import { memoryStore } from "../../tasks/store.ts";
import type { Progress } from "../../tasks/types.ts";

export interface Simulated {
  readonly schedules: number;
  /** How many schedules ended with each hash of the table. */
  readonly hashes: Readonly<Record<string, number>>;
  readonly happened: Happened;
}

const workers = 3;

/** The whole sweep once for each schedule, seeds 1 … `schedules`; nothing is kept from one to the next. */
export async function simulate(
  plan: SweepPlan,
  schedules: number,
  arithmetic: string,
  signal: AbortSignal,
  onProgress: (progress: Progress) => void,
): Promise<Simulated> {
  const hashes: Record<string, number> = {};
  const total: Record<keyof Happened, number> = { executed: 0, crashed: 0, lost: 0, duplicated: 0, repeated: 0, late: 0 };
  for (let seed = 1; seed <= schedules; seed++) {
    onProgress({ stage: "schedules", done: seed - 1, total: schedules });
    const executor = createSimulator(sweepKinds, { seed, workers });
    const store = memoryStore();
    const rows = await sweep(plan, { executor, store, arithmetic, signal, keep: (name, result) => store.put(name, result) });
    const hash = await sha256(new TextEncoder().encode(toJson(rows)));
    hashes[hash] = (hashes[hash] ?? 0) + 1;
    for (const key of Object.keys(total) as (keyof Happened)[]) total[key] += executor.happened[key];
  }
  return { schedules, hashes, happened: total };
}
