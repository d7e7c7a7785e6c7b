export * from "./base";
export * from "./copy";
export * from "./histogram";
export * from "./codes";
