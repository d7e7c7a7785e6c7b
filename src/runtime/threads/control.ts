// What the threads of a session tell each other: a few shared 32-bit words. A thread takes the next ticket below the limit. Tickets are not
// used twice, and the limit rises only when all before it are done, so a thread that comes late finds current work or none.
import type { Call } from "../step.ts";

export type Control = Int32Array<SharedArrayBuffer>;

/** Indices of the words. */
export const word = {
  /** Tickets below this one may be taken. */
  limit: 0,
  /** The next ticket. */
  ticket: 1,
  /** Tasks that are done. */
  done: 2,
  /** What a ticket lacks to the number of its task. Changes only while there is no ticket to take. */
  shift: 3,
  /** Raised with each limit; what idle workers wait on. */
  epoch: 4,
  /** 1: workers end. */
  closing: 5,
  /** 1: a task threw. */
  failed: 6,
} as const;

export function createControl(): Control {
  return new Int32Array(new SharedArrayBuffer(Object.keys(word).length * 4));
}

/** Takes tasks until there are none. */
export function work(control: Control, tasks: readonly (readonly Call[])[]): void {
  let ticket = Atomics.load(control, word.ticket);
  while (ticket < Atomics.load(control, word.limit)) {
    const seen = Atomics.compareExchange(control, word.ticket, ticket, ticket + 1);
    if (seen !== ticket) {
      ticket = seen;
      continue;
    }
    for (const { run, args } of tasks[ticket + Atomics.load(control, word.shift)]!) run(...args);
    if (Atomics.add(control, word.done, 1) + 1 === Atomics.load(control, word.limit)) Atomics.notify(control, word.done);
    ticket = Atomics.load(control, word.ticket);
  }
}

/** Some 20 µs of looking before a thread sleeps: waking takes longer than most layers leave between their tasks. */
const looks = 2000;

/** A worker's life. */
export function serve(control: Control, tasks: readonly (readonly Call[])[]): void {
  for (;;) {
    const epoch = Atomics.load(control, word.epoch);
    if (Atomics.load(control, word.closing) === 1) return;
    work(control, tasks);
    let left = looks;
    while (left > 0 && Atomics.load(control, word.epoch) === epoch) left--;
    if (left === 0) Atomics.wait(control, word.epoch, epoch);
  }
}

/** Ticket numbers begin again before they leave 32 bits. */
const mostTickets = 2 ** 30;

/** Lets everybody take tasks [first, first + count). All that were published before are done. */
export function publish(control: Control, first: number, count: number): void {
  if (Atomics.load(control, word.limit) > mostTickets)
    for (const index of [word.limit, word.ticket, word.done]) Atomics.store(control, index, 0);
  Atomics.store(control, word.shift, first - Atomics.load(control, word.limit));
  Atomics.add(control, word.limit, count);
  Atomics.add(control, word.epoch, 1);
  Atomics.notify(control, word.epoch);
}

/** Waiting is forbidden to the main thread of a page, which then looks again and again. */
export function mayWait(control: Control): boolean {
  try {
    Atomics.wait(control, word.closing, 1, 0);
    return true;
  } catch {
    return false;
  }
}

/** Until every published task is done. @returns false where one threw, or none has ended for `patience` milliseconds */
export function settled(control: Control, waits: boolean, patience: number): boolean {
  const limit = Atomics.load(control, word.limit);
  for (let left = looks; left > 0; left--) if (Atomics.load(control, word.done) === limit) return true;
  let [last, since] = [-1, 0];
  for (;;) {
    const done = Atomics.load(control, word.done);
    if (Atomics.load(control, word.failed) === 1) return false;
    if (done === limit) return true;
    if (done !== last) [last, since] = [done, performance.now()];
    else if (performance.now() - since > patience) return false;
    if (waits) Atomics.wait(control, word.done, done, 100);
  }
}
