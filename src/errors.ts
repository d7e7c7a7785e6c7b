/** Stable identifiers that programs compare; the message is for people. One row per kind of mistake. */
export type ErrorCode =
  | "ONNX_MALFORMED"
  | "ONNX_UNSUPPORTED_OP"
  | "ONNX_UNSUPPORTED_TYPE"
  | "ONNX_EXTERNAL_DATA"
  | "GRAPH_INVALID"
  | "SHAPE_MISMATCH"
  | "SHAPE_OVERFLOW"
  | "INPUT_MISSING"
  | "INPUT_MISMATCH"
  | "NOT_FINITE"
  | "DATA_MALFORMED"
  | "DATA_EMPTY"
  | "DATA_MISMATCH"
  | "LABEL_RANGE"
  | "OPTION_INVALID"
  | "NO_INTEGER_FORM"
  | "ACCUMULATOR_OVERFLOW"
  | "PLAN_MALFORMED"
  | "PLAN_VERSION"
  | "VERIFICATION_FAILED"
  | "FILE_UNREADABLE"
  | "FILE_UNWRITABLE"
  | "WASM_UNAVAILABLE"
  | "WORKER_FAILED"
  | "QUEUE_UNAVAILABLE"
  | "CANCELLED"
  | "OUT_OF_MEMORY";

/** What another machine, or the same one tomorrow, need not run into: no result of a task. */
export const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["CANCELLED", "WORKER_FAILED", "OUT_OF_MEMORY", "WASM_UNAVAILABLE"]);

/** The fields of a HalftoneError as plain data: what crosses workers and `--json`. */
export interface ErrorData {
  readonly code: ErrorCode;
  readonly place: string;
  readonly found: string;
  readonly expected: string;
  readonly hint: string;
}

/** A mistake in the user's input, told in one sentence: where, what was found, what was expected, the way out. */
export class HalftoneError extends Error {
  readonly code: ErrorCode;
  readonly place: string;
  readonly found: string;
  readonly expected: string;
  readonly hint: string;

  /**
   * @param place    where in the user's terms: "Conv 'layer1.0.conv1'", "plan byte 96", "images/cat/7.jpg"
   * @param found    what is there
   * @param expected what would be right
   * @param hint     the way out, a full sentence
   */
  constructor(code: ErrorCode, place: string, found: string, expected: string, hint = "") {
    super(`${place}: found ${found}, expected ${expected}.${hint && ` ${hint}`}`);
    this.name = "HalftoneError";
    this.code = code;
    this.place = place;
    this.found = found;
    this.expected = expected;
    this.hint = hint;
  }

  /** Plain data, for another thread or a file. */
  toData(): ErrorData {
    return { code: this.code, place: this.place, found: this.found, expected: this.expected, hint: this.hint };
  }

  /** The same error again, from what another thread or a file holds of it. */
  static fromData(data: ErrorData): HalftoneError {
    return new HalftoneError(data.code, data.place, data.found, data.expected, data.hint);
  }
}

/** A promise between our own functions; its failure is our bug, never the user's. */
export function assert(condition: unknown, promise: string): asserts condition {
  if (!condition) throw new Error(`broken promise: ${promise}`);
}

/** Throws CANCELLED when the caller's signal has fired. Call between slices of at most about 20 ms. */
export function throwIfAborted(signal: AbortSignal | undefined, place: string): void {
  if (signal?.aborted) throw new HalftoneError("CANCELLED", place, "a cancelled signal", "a running task");
}
