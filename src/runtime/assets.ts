// What the runtime loads besides itself, in the forms that bundlers find. The bundle (tsdown.config.ts) has these files beside it instead.
export const integerWasm = (): URL => new URL("../../build/integer.wasm", import.meta.url);
/** The same kernels in a memory that is imported and shared. */
export const sharedWasm = (): URL => new URL("../../build/integer-threads.wasm", import.meta.url);
