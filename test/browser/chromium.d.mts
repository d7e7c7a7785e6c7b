export const hasChromium: boolean;
export function visit(
  fileOf: (url: string) => string | Uint8Array | undefined | Promise<string | Uint8Array | undefined>,
  options?: { readonly isolated?: boolean; readonly timeout?: number },
): Promise<string>;
