import type { TaskKinds } from "../kinds.ts";
import { calibrate } from "./calibrate.ts";
import { reach, sums } from "./channels.ts";
import { evaluate } from "./evaluate.ts";
import { fisher } from "./fisher.ts";
import { gram, gramRound } from "./gram.ts";
import { pair } from "./pair.ts";
import { slice } from "./slice.ts";

/** Every kind of task that a worker can do. */
export const taskKinds: TaskKinds = { calibrate, evaluate, fisher, gram, gramRound, pair, reach, slice, sums };
