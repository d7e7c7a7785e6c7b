// An executor in a world of its own: workers that are slow, crash and come back, messages that are late, lost or come twice. All of it
// follows from a seed, and no clock runs: a schedule can be had again, and a thousand of them are tried in a moment.
import { assert } from "../../errors.ts";
import { limitOf, randomWord, type Stream, streamOf } from "../../reconstruct/random.ts";
import { createContext, type TaskContext } from "../context.ts";
import { runTask, type TaskKinds } from "../kinds.ts";
import { pack } from "../pack.ts";
import type { Executor, Task } from "../types.ts";
import { runOrdered } from "./ordered.ts";

/** Probabilities, but for the times. */
export interface Faults {
  /** A worker dies over a task, and with it all that it held and was asked for. */
  readonly crash: number;
  /** A message, question or answer, never arrives. */
  readonly lose: number;
  /** It arrives twice. */
  readonly duplicate: number;
  /** The longest that a message travels and that a task takes: so they overtake each other. */
  readonly delay: number;
}

const defaultFaults: Faults = { crash: 0.1, lose: 0.1, duplicate: 0.1, delay: 100 };
/** Delays without an answer after which a task is given to some worker again. */
const patience = 6;

/** What happened. */
export interface Happened {
  readonly executed: number;
  readonly crashed: number;
  readonly lost: number;
  readonly duplicated: number;
  /** Tasks given out again for want of an answer. */
  readonly repeated: number;
  /** Answers to what had been answered. */
  readonly late: number;
}

export interface SimulatorOptions {
  readonly seed: number;
  readonly workers: number;
  readonly faults?: Partial<Faults> | undefined;
}

export interface Simulator extends Executor {
  readonly happened: Happened;
}

/** A task that somebody waits for. */
interface Question {
  readonly task: Task;
  answer(outcome: Outcome): void;
  /** As packed, of the first answer: all others must be the same. */
  bytes: Uint8Array | undefined;
}

type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** One life of a worker. */
interface Life {
  readonly shared: Map<string, Uint8Array>;
  readonly context: TaskContext;
  readonly asked: Question[];
  /** Also once it is dead. */
  busy: boolean;
}

/**
 * Workers do their tasks one after the other, as they come; whoever waits for an answer asks again after a while, and takes the first.
 * Every task is done as often as the schedule has it done, and must give the same bytes each time.
 */
export function createSimulator(kinds: TaskKinds, { seed, workers, faults: given }: SimulatorOptions): Simulator {
  const faults = { ...defaultFaults, ...given };
  const happened = { executed: 0, crashed: 0, lost: 0, duplicated: 0, repeated: 0, late: 0 };
  const done = new Array<number>(workers).fill(0);
  const world = new World(streamOf(seed));
  const lives = Array.from({ length: workers }, born);
  /** Lanes that wait: if the world ends by a broken promise of ours, all are told. */
  const waiting = new Set<(cause: unknown) => void>();

  const send = (arrive: () => void): void => {
    if (world.happens(faults.lose)) {
      happened.lost++;
      return;
    }
    const copies = world.happens(faults.duplicate) ? 2 : 1;
    happened.duplicated += copies - 1;
    for (let i = 0; i < copies; i++) world.later(world.below(faults.delay), arrive);
  };

  const ask = (worker: number, question: Question): void =>
    send(() => {
      const life = lives[worker]!;
      life.asked.push(question);
      next(worker, life);
    });

  /** Begins the worker's next task, if it has nothing to do. */
  const next = (worker: number, life: Life): void => {
    if (life.busy) return;
    const question = life.asked.shift();
    if (!question) return;
    life.busy = true;
    if (world.happens(faults.crash)) {
      world.later(world.below(faults.delay), () => {
        happened.crashed++;
        lives[worker] = born();
      });
      return;
    }
    world.later(world.below(faults.delay), async () => {
      const outcome = await execute(kinds, life, question.task);
      happened.executed++;
      done[worker]!++;
      send(() => {
        if (question.bytes) happened.late++;
        question.answer(outcome);
      });
      life.busy = false;
      next(worker, life);
    });
  };

  const lane = (task: Task): Promise<unknown> =>
    new Promise((resolve, reject) => {
      waiting.add(reject);
      const question: Question = {
        task,
        bytes: undefined,
        answer(outcome) {
          const bytes = pack("value" in outcome ? outcome.value : String(outcome.error));
          assert(!question.bytes || equal(question.bytes, bytes), `every execution of '${task.label}' gives the same bytes`);
          question.bytes = bytes;
          waiting.delete(reject);
          if ("value" in outcome) resolve(outcome.value);
          else reject(outcome.error);
        },
      };
      const give = (): void => {
        if (question.bytes) return;
        ask(world.below(workers), question);
        world.later(patience * faults.delay, () => {
          if (question.bytes) return;
          happened.repeated++;
          give();
        });
      };
      give();
      world.run().catch((cause) => {
        for (const tell of waiting) tell(cause);
      });
    });

  return {
    workers,
    done,
    happened,
    run: (tasks, consume, options) =>
      runOrdered(
        tasks,
        Array.from({ length: 2 * workers }, () => lane),
        4 * workers,
        consume,
        options,
      ).finally(() => world.end()),
    async close() {
      world.end();
    },
  };
}

function born(): Life {
  const shared = new Map<string, Uint8Array>();
  return { shared, context: createContext(shared), asked: [], busy: false };
}

async function execute(kinds: TaskKinds, { shared, context }: Life, task: Task): Promise<Outcome> {
  for (const { hash, bytes } of task.shared) shared.set(hash, bytes);
  try {
    return { value: await runTask(kinds, { ...task, state: undefined, shared: task.shared.map(({ hash }) => hash) }, context) };
  } catch (error) {
    return { error };
  }
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);

interface Event {
  readonly time: number;
  /** Of what happens at the same time, what was foreseen first comes first. */
  readonly order: number;
  act(): void | Promise<void>;
}

/** Time and chance. */
class World {
  readonly #stream: Stream;
  readonly #events: Event[] = [];
  #drawn = 0;
  #planned = 0;
  #now = 0;
  #running = false;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  /** A whole number below n. */
  below(n: number): number {
    return Math.floor((randomWord(this.#stream, this.#drawn++) / 4294967296) * n);
  }

  happens(probability: number): boolean {
    return probability > 0 && randomWord(this.#stream, this.#drawn++) <= limitOf(probability);
  }

  later(delay: number, act: Event["act"]): void {
    this.#events.push({ time: this.#now + delay, order: this.#planned++, act });
  }

  end(): void {
    this.#events.length = 0;
  }

  /** One event after the other, until there are none. */
  async run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      // What an event set going comes to rest before the next: the order of events does not depend on how promises interleave.
      for (await rest(); this.#events.length > 0; await rest()) {
        const event = this.#events.reduce((first, each) => (before(each, first) ? each : first));
        this.#events.splice(this.#events.indexOf(event), 1);
        this.#now = event.time;
        await event.act();
      }
    } finally {
      this.#running = false;
    }
  }
}

const before = (a: Event, b: Event): boolean => a.time < b.time || (a.time === b.time && a.order < b.order);

/** After all promises that are settled by now. */
const rest = (): Promise<void> => new Promise((resolve) => (globalThis.setImmediate ?? setTimeout)(() => resolve()));
