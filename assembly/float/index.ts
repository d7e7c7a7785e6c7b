export * from "./base";
export * from "./copy";
