export const hasChromium: boolean;
export { visit } from "./visit.mjs";
