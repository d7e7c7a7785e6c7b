import { browsers, isInstalled } from "./browsers.mjs";

export const hasChromium = isInstalled(browsers.chromium);
export { visit } from "./visit.mjs";
