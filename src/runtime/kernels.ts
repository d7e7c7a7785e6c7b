import type { instantiate } from "../../build/integer.js";

/** The exports of integer.wasm: functions over byte addresses and 32-bit sizes, and their linear memory. */
export type IntegerKernels = Awaited<ReturnType<typeof instantiate>>;
