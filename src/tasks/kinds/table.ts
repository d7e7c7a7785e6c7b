import type { TaskKinds } from "../kinds.ts";
import { calibrate } from "./calibrate.ts";
import { evaluate } from "./evaluate.ts";
import { gram, gramRound } from "./gram.ts";
import { pair } from "./pair.ts";
import { slice } from "./slice.ts";

/** Every kind of task that a worker can do. */
export const taskKinds: TaskKinds = { calibrate, evaluate, gram, gramRound, pair, slice };
