// What this runtime offers, as a row of the matrix wants it.

/** Returns i8x16.extract_lane_s 0 of i8x16.splat: the smallest function that needs SIMD. */
const simdModule = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[1, 5, 1, 0x60, 0, 1, 0x7f],
  ...[3, 2, 1, 0],
  ...[10, 11, 1, 9, 0, 0x41, 7, 0xfd, 0x0f, 0xfd, 0x15, 0, 0x0b],
);

function sharesMemory() {
  if (globalThis.crossOriginIsolated === false) return false;
  try {
    return new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer instanceof SharedArrayBuffer;
  } catch {
    return false;
  }
}

function workers() {
  const own = "Deno" in globalThis || "Bun" in globalThis ? undefined : globalThis.process?.getBuiltinModule?.("node:worker_threads");
  return own ? "worker_threads" : typeof Worker === "undefined" ? "none" : "Web Workers";
}

function version() {
  const { Deno, Bun, process, navigator } = globalThis;
  return Deno?.version.deno ?? Bun?.version ?? process?.versions?.node ?? navigator.userAgent;
}

export const abilities = () => ({
  version: version(),
  simd: WebAssembly.validate(simdModule),
  sharedMemory: sharesMemory(),
  workers: workers(),
});
