import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { halftone, inProcess, start } from "../cli/halftone.ts";
import { bytesOf, inFolder, plan, tasks } from "./plan.ts";

/** A port that nothing listens on. */
const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

function found(command: string): boolean {
  try {
    execFileSync(command, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

async function startRedis(): Promise<string> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "halftone-redis-"));
  const server = spawn("redis-server", [
    "--port",
    String(port),
    "--bind",
    "127.0.0.1",
    "--save",
    "",
    "--appendonly",
    "no",
    "--dir",
    folder,
  ]);
  await new Promise<void>((resolve, reject) => {
    server.on("error", reject);
    server.stdout.on("data", (text: Buffer) => {
      if (text.includes("Ready to accept connections")) resolve();
    });
  });
  afterAll(() => {
    server.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  return `redis://127.0.0.1:${port}`;
}

interface Told {
  readonly event: string;
  readonly task: string;
}

/** A worker process with one thread; what it has told so far. */
function startWorker(url: string): { told: Told[]; child: ReturnType<typeof start>["child"]; on: (listen: (told: Told) => void) => void } {
  const { child } = start(["worker", "--queue", url, "--workers", "1", "--lock", "2", "--json"]);
  onTestFinished(() => void child.kill("SIGKILL"));
  const told: Told[] = [];
  const listeners: ((told: Told) => void)[] = [];
  let rest = "";
  child.stdout!.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      told.push(JSON.parse(line));
      for (const listen of listeners) listen(told.at(-1)!);
    }
  });
  return { told, child, on: (listen) => listeners.push(listen) };
}

const missing = found("redis-server") ? "" : " (skipped: no redis-server; apt-get install -y redis-server)";

describe.skipIf(missing !== "")(`over a real Redis${missing}`, () => {
  test("24 runs on two workers, one of which is killed in the middle of a task: the bytes of the local run", {
    timeout: 300_000,
  }, async () => {
    const url = await startRedis();
    const workers = [startWorker(url), startWorker(url)] as const;
    // The third task that the first worker begins is its last.
    let lost = "";
    workers[0].on(({ event, task }) => {
      if (event !== "start" || workers[0].told.filter((each) => each.event === "start").length !== 3) return;
      lost = task;
      workers[0].child.kill("SIGKILL");
    });
    const [remote, local] = await Promise.all([
      halftone(["sweep", plan, "-o", inFolder("remote"), "--queue", url, "--json"]),
      inProcess(["sweep", plan, "-o", inFolder("local"), "--workers", "0", "--json"]),
    ]);
    expect({ code: remote.code, stderr: remote.stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^$|No worker/) });
    expect(JSON.parse(remote.stdout)).toMatchObject({ made: tasks, failed: 0 });
    expect(local.code).toBe(0);
    expect(bytesOf("remote")).toEqual(bytesOf("local"));

    expect(workers[0].child.signalCode).toBe("SIGKILL");
    const doneBy = (worker: { told: Told[] }): string[] => worker.told.filter(({ event }) => event === "done").map(({ task }) => task);
    expect(doneBy(workers[0])).toHaveLength(2);
    expect(doneBy(workers[1])).toContain(lost);
    expect(new Set([...doneBy(workers[0]), ...doneBy(workers[1])]).size).toBe(tasks);

    // What is in the store is not done again, and a worker that is asked to stop does. A task may be done twice before: its worker was
    // silent for longer than its lock, as a busy machine lets it be.
    const done = doneBy(workers[1]).length;
    const again = await halftone(["sweep", plan, "-o", inFolder("again"), "--queue", url, "--json"]);
    expect(JSON.parse(again.stdout)).toMatchObject({ made: tasks, failed: 0 });
    expect(bytesOf("again")).toEqual(bytesOf("local"));
    expect(doneBy(workers[1])).toHaveLength(done);
    workers[1].child.kill("SIGTERM");
    expect(await new Promise((resolve) => workers[1].child.on("close", resolve))).toBe(0);
  });
});

test("a Redis that does not answer is told in one sentence", async () => {
  const url = `redis://:secret@127.0.0.1:${await freePort()}`;
  for (const args of [["worker"], ["sweep", plan, "-o", inFolder("nowhere")]]) {
    const { code, stderr } = await inProcess([...args, "--queue", url]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^--queue redis:\/\/127\.0\.0\.1:\d+: found .*ECONNREFUSED.*, expected a Redis that answers\.\n$/);
  }
});

test.for([
  [["worker", "--queue", "http://host"], "expected redis://HOST:PORT"],
  [["worker", "--queue", "redis://host", "--workers", "0"], "expected 1 or more"],
  [["sweep", plan, "-o", inFolder("none"), "--blobs", inFolder("blobs")], "no --queue"],
] as const)("%s is a usage error", async ([args, sentence]) => {
  const { code, stderr } = await inProcess(args);
  expect(code).toBe(2);
  expect(stderr).toContain(sentence);
});
