export interface Browser {
  readonly needs: readonly string[];
  readonly install: string;
  readonly version: RegExp;
  readonly display?: boolean;
  command(profile: string, address: string): string[];
}
export const browsers: { readonly chromium: Browser; readonly firefox: Browser; readonly webkit: Browser };
export function isInstalled(browser: Browser): boolean;
