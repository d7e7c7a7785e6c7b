import { type TransferHandler, transferHandlers } from "comlink";
import { type ErrorData, HalftoneError } from "../../errors.ts";

interface SentError {
  readonly halftone: ErrorData;
  readonly stack: string | undefined;
}

interface Thrown {
  readonly value: unknown;
}

/**
 * Lets a HalftoneError cross workers whole: comlink alone turns it into a plain Error without class or fields. To be called on
 * both sides; whatever else is thrown goes the usual way.
 */
export function installErrorTransfer(): void {
  const usual = transferHandlers.get("throw") as TransferHandler<Thrown, unknown>;
  if (usual === ours) return;
  fallback = usual;
  transferHandlers.set("throw", ours as TransferHandler<unknown, unknown>);
}

let fallback: TransferHandler<Thrown, unknown>;

const ours: TransferHandler<Thrown, unknown> = {
  canHandle: (value): value is Thrown => fallback.canHandle(value),
  serialize(thrown) {
    const error = thrown.value;
    if (!(error instanceof HalftoneError)) return fallback.serialize(thrown);
    return [{ halftone: error.toData(), stack: error.stack } satisfies SentError, []];
  },
  deserialize(sent) {
    if (typeof sent !== "object" || sent === null || !("halftone" in sent)) return fallback.deserialize(sent);
    const { halftone, stack } = sent as SentError;
    const error = HalftoneError.fromData(halftone);
    if (stack !== undefined) error.stack = stack;
    throw error;
  },
};
