// What commands print: results on stdout, progress and errors on stderr; with --json one object on stdout.
import cliProgress from "cli-progress";
import { HalftoneError } from "../errors.ts";
import type { Progress } from "../tasks/types.ts";

/** 0 done, 1 the input or the run failed, 2 the command line is wrong. */
export const exitCodes = { done: 0, failure: 1, usage: 2 } as const;

export interface CommonFlags {
  readonly json: boolean;
}

export const jsonFlag = { kind: "boolean", brief: "Print one JSON object instead of text", default: false } as const;

/** A column of labels, then the text: "model     resnet20.onnx". */
export function say(label: string, text: string): void {
  process.stdout.write(`${label.padEnd(10)} ${text}\n`);
}

export function printJson(result: unknown): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

/** A progress bar with time left on a terminal, nothing elsewhere. */
export class ProgressBar {
  readonly #bar = new cliProgress.SingleBar({
    stream: process.stderr,
    format: "{stage} {bar} {value}/{total} {left}",
    barsize: 28,
    hideCursor: true,
    clearOnComplete: true,
    linewrap: false,
  });
  #stage = "";

  readonly report = (progress: Progress): void => {
    if (progress.total === undefined) return;
    const left = progress.secondsLeft === undefined ? "" : `${duration(progress.secondsLeft)} left`;
    if (this.#stage !== progress.stage) {
      this.stop();
      this.#stage = progress.stage;
      this.#bar.start(progress.total, progress.done, { stage: progress.stage.padEnd(10), left });
    } else this.#bar.update(progress.done, { left });
  };

  stop(): void {
    if (this.#stage) this.#bar.stop();
    this.#stage = "";
  }
}

export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

/** "90s", "5m", "1h" → seconds */
export function parseDuration(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([smh])$/.exec(text) ?? [];
  const seconds = Number(digits) * secondsOf[unit ?? ""]!;
  if (!(seconds > 0)) throw new Error(`found '${text}', expected a time such as 90s, 5m or 1h`);
  return seconds;
}

export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  return count < 1e6 ? `${(count / 1e3).toFixed(1)} kB` : `${(count / 1e6).toFixed(2)} MB`;
}

export const percent = (value: number): string => `${value.toFixed(2)} %`;
export const count = (value: number): string => value.toLocaleString("en-US");

/** Rows of cells under a header, columns aligned: numbers to the right. */
export function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [header, ...rows.map((row) => row.map(String))];
  const widths = header.map((_, c) => Math.max(...cells.map((row) => row[c]!.length)));
  const right = header.map((_, c) => rows.length > 0 && rows.every((row) => /^[-−]?[\d.,]*( ?[%a-zA-Z]{1,2})?$/.test(String(row[c]))));
  return cells
    .map((row) =>
      row
        .map((cell, c) => (right[c] ? cell.padStart(widths[c]!) : cell.padEnd(widths[c]!)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export const cancelled = "Cancelled: no output was left half written.";
const interrupts = ["SIGINT", "SIGTERM"] as const;

/**
 * Runs a command's body. A HalftoneError becomes one sentence (or one JSON object) and an exit code; anything else is our bug and
 * keeps its stack. Ctrl-C and SIGTERM cancel through the signal; a second one ends the process.
 *
 * @param stopped what a cancelled run leaves behind, as a sentence
 */
export async function guarded(
  flags: CommonFlags,
  body: (signal: AbortSignal) => Promise<void>,
  stopped: () => string = () => cancelled,
): Promise<void> {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
  };
  for (const name of interrupts) process.on(name, interrupt);
  try {
    await body(controller.signal);
  } catch (error) {
    if (!(error instanceof HalftoneError)) throw error;
    const wasCancelled = error.code === "CANCELLED" && controller.signal.aborted;
    if (flags.json) printJson({ error: error.toData() });
    else process.stderr.write(`${wasCancelled ? stopped() : error.message}\n`);
    process.exitCode = error.code === "OPTION_INVALID" ? exitCodes.usage : exitCodes.failure;
  } finally {
    for (const name of interrupts) process.off(name, interrupt);
  }
}
