// One row for each runtime: what starts it, and what to install where it is missing.
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { browsers, isInstalled } from "../browser/browsers.mjs";
import { visit } from "../browser/visit.mjs";

/** Of one job; a busy machine takes minutes where a quiet one takes seconds. */
const timeout = 600_000;
const modules = fileURLToPath(new URL("node_modules/", import.meta.url));

/** @param program path below node_modules of this folder, or absolute */
function command(name, program, args = []) {
  const executable = join(program.startsWith("/") ? "" : modules, program);
  return {
    name,
    executable,
    found: existsSync(executable),
    install: "npm ci --prefix test/runtimes",
    async run({ folder }, job) {
      const script = [...args, join(folder, "command.js"), JSON.stringify(job)];
      const { stdout } = await promisify(execFile)(executable, script, { cwd: folder, timeout, maxBuffer: 2 ** 24 });
      return JSON.parse(stdout);
    },
  };
}

function page(name, browser) {
  return {
    name,
    found: isInstalled(browser),
    install: browser.install,
    async run({ folder }, job) {
      const fileOf = (url) => {
        if (url === "/job") return JSON.stringify(job);
        const path = join(folder, url.startsWith("/fixtures/") ? "" : "page", normalize(url === "/" ? "index.html" : url));
        return existsSync(path) ? readFileSync(path) : undefined;
      };
      const answer = JSON.parse(await visit(fileOf, { browser, isolated: true, timeout }));
      if (answer.error) throw new Error(`${name}: ${answer.error}`);
      return { ...answer, version: answer.version.match(browser.version)?.[1] };
    },
  };
}

const own = `Node ${process.versions.node.split(".")[0]}`;

/** The first is the one that runs this. */
export const runtimes = [
  command(own, process.execPath),
  ...[22, 24].map((major) => command(`Node ${major}`, `node-${major}/bin/node`)).filter(({ name }) => name !== own),
  command("Deno", ".bin/deno", ["run", "-A"]),
  command("Bun", ".bin/bun"),
  page("Chromium", browsers.chromium),
  page("Firefox", browsers.firefox),
  page("WebKit", browsers.webkit),
];
