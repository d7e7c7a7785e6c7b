import type { Browser } from "./browsers.mjs";

export function visit(
  fileOf: (url: string) => string | Uint8Array | undefined | Promise<string | Uint8Array | undefined>,
  options?: { readonly browser?: Browser; readonly isolated?: boolean; readonly timeout?: number },
): Promise<string>;
