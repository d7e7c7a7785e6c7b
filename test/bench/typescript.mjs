// Lets plain Node (20 knows no TypeScript) import the sources: `import "./typescript.mjs"`, then `await import("….ts")`.
import { readFile } from "node:fs/promises";
import { register } from "node:module";
import { isMainThread } from "node:worker_threads";

if (isMainThread) register(import.meta.url);

/** Node runs this in the thread of its module hooks. */
export async function load(url, context, next) {
  if (!url.endsWith(".ts")) return next(url, context);
  const { default: ts } = await import("typescript");
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true };
  const source = ts.transpileModule(await readFile(new URL(url), "utf8"), { compilerOptions }).outputText;
  return { format: "module", source, shortCircuit: true };
}
