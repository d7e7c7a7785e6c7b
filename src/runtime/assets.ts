// What the runtime loads besides itself. The bundle (tsdown.config.ts) has these files beside it instead.
export const integerWasm = (): URL => new URL("../../build/integer.wasm", import.meta.url);
