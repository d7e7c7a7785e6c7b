// How learning goes: a line of text a part on stdout, beside the bar; with --json events on stderr, one JSON object a line.
import type { PartReport } from "../quantized/types.ts";
import { decibels } from "../report/drift.ts";
import type { Progress } from "../tasks/types.ts";
import { duration, type ProgressBar, say } from "./terminal.ts";

/** A part with the time it took. */
export interface TimedPart extends PartReport {
  readonly seconds: number;
}

/** Stage of the work that has parts. */
const learning = "reconstruct";
/** Stages that may take minutes: `auto` learns the network as a whole after its parts. */
const longStages: ReadonlySet<string> = new Set([learning, "whole"]);
/** Progress events come at most so often. */
const secondsBetween = 1;

export class PartLog {
  readonly parts: TimedPart[] = [];
  readonly #json: boolean;
  readonly #bar: ProgressBar;
  #last = performance.now();
  #lastEvent = Number.NEGATIVE_INFINITY;
  #secondsLeft: number | undefined;

  constructor(json: boolean, bar: ProgressBar) {
    this.#json = json;
    this.#bar = bar;
  }

  readonly onProgress = (progress: Progress): void => {
    const { stage, done, total, secondsLeft } = progress;
    const now = performance.now();
    if (stage === learning) this.#secondsLeft = secondsLeft;
    else this.#last = now;
    if (!this.#json || !longStages.has(stage)) this.#bar.report(progress);
    else if (now - this.#lastEvent > secondsBetween * 1000) {
      this.#lastEvent = now;
      tell({ event: "progress", stage, done, total, secondsLeft });
    }
  };

  readonly onPart = (report: PartReport, index: number, total: number): void => {
    const now = performance.now();
    const part = { ...report, seconds: (now - this.#last) / 1000 };
    this.#last = now;
    this.parts.push(part);
    if (this.#json) tell({ event: "part", part: index + 1, parts: total, ...part, secondsLeft: this.#secondsLeft });
    else {
      this.#bar.stop();
      say(`part ${index + 1}/${total}`, [...partCells(part), duration(part.seconds), ...this.#left(index + 1 < total)].join(" · "));
    }
  };

  #left(more: boolean): string[] {
    return more && this.#secondsLeft !== undefined ? [`${duration(this.#secondsLeft)} left`] : [];
  }
}

const tell = (event: object): void => void process.stderr.write(`${JSON.stringify(event)}\n`);

/** Name, error before and after as a ratio to the signal, what moved and what stayed open. */
export function partCells({ name, lossBefore, lossAfter, signal, elements, moved, undecided }: PartReport): string[] {
  const share = (n: number): string => `${((100 * n) / Math.max(1, elements)).toFixed(1)} %`;
  return [
    name,
    `${decibels(signal, lossBefore).toFixed(1)} → ${decibels(signal, lossAfter).toFixed(1)} dB`,
    `${share(moved)} moved`,
    `${share(undecided)} undecided`,
  ];
}
