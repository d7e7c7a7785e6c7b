// Copies of examples/ with the package as npm would install it, and with the packages of their own where those are installed.
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(import.meta.dirname, "..");

/** @param runtime folder of 'halftone/runtime' as it is shipped */
export function install(example: string, packages: readonly string[], runtime: URL): string {
  const folder = join(root, "build/examples", example);
  rmSync(folder, { recursive: true, force: true });
  const source = join(root, "examples", example);
  cpSync(source, folder, { recursive: true, filter: (path) => !/node_modules|[/\\]dist$/.test(path) });
  const halftone = join(folder, "node_modules/halftone");
  mkdirSync(halftone, { recursive: true });
  cpSync(join(root, "package.json"), join(halftone, "package.json"));
  cpSync(fileURLToPath(runtime), join(halftone, "dist"), { recursive: true });
  // Without a package of its own, a file of this repository would import the repository's.
  if (!existsSync(join(folder, "package.json"))) writeFileSync(join(folder, "package.json"), `{ "type": "module" }`);
  for (const name of packages) symlinkSync(packageAt(example, name)!, join(folder, "node_modules", name));
  return folder;
}

/** The first of the packages that is installed neither with the example nor with the repository. */
export function missingPackage(example: string, packages: readonly string[]): string | undefined {
  return packages.find((name) => packageAt(example, name) === undefined);
}

function packageAt(example: string, name: string): string | undefined {
  return [join(root, "examples", example, "node_modules", name), join(root, "node_modules", name)].find((path) => existsSync(path));
}
