import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { folderStore, Seconds } from "../../src/cli/store.ts";
import { memoryStore, type Store } from "../../src/tasks/store.ts";
import { type RedisClient, redisStore } from "../../src/tasks/store.redis.ts";
import { writeFileSync } from "node:fs";

/** What a Redis does with these commands. */
function fakeRedis(): RedisClient & { readonly keys: Map<string, Uint8Array> } {
  const keys = new Map<string, Uint8Array>();
  return {
    keys,
    getBuffer: async (key) => keys.get(key) ?? null,
    setex: async (key, _, value) => void keys.set(key, typeof value === "string" ? new TextEncoder().encode(value) : new Uint8Array(value)),
    expire: async (key) => (keys.has(key) ? 1 : 0),
  };
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "halftone-store-"));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
}

const stores: Readonly<Record<string, () => Promise<Store>>> = {
  memory: async () => memoryStore(),
  folder: async () => folderStore(join(await folder(), "new", "deep")),
  redis: async () => redisStore(fakeRedis(), "test", 10),
};

test.for(Object.entries(stores))("%s: what was put is there, whole, and nothing else", async ([, open]) => {
  const store = await open();
  for (const length of [0, 1, 9, 10, 11, 20, 1000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => i * 7);
    const name = `name${length}`;
    expect(await store.has(name)).toBe(false);
    expect(await store.get(name)).toBeUndefined();
    await store.put(name, bytes);
    await store.put(name, bytes);
    expect(await store.has(name)).toBe(true);
    expect(new Uint8Array((await store.get(name))!)).toEqual(bytes);
  }
});

test("in Redis no value is larger than a piece, and what has lost a piece is not there", async () => {
  const client = fakeRedis();
  const store = redisStore(client, "p", 10);
  await store.put("blob", new Uint8Array(35));
  expect([...client.keys].map(([key, { length }]) => `${key} ${length}`)).toEqual([
    "p:blob:0 10",
    "p:blob:1 10",
    "p:blob:2 10",
    "p:blob:3 5",
    "p:blob 1",
  ]);
  client.keys.delete("p:blob:2");
  expect(await store.get("blob")).toBeUndefined();
  expect(await store.has("blob")).toBe(false);
});

test("a folder holds one file for each name", async () => {
  const path = await folder();
  const store = await folderStore(path);
  await Promise.all([store.put("a", Uint8Array.of(1)), store.put("a", Uint8Array.of(1)), store.put("b", Uint8Array.of(2))]);
  expect((await readdir(path)).sort()).toEqual(["a", "b"]);
});

test("a folder that cannot be made is told", async () => {
  const path = join(await folder(), "file");
  writeFileSync(path, "");
  await expect(folderStore(join(path, "below"))).rejects.toMatchObject({ code: "FILE_UNWRITABLE" });
});

test("seconds are read back, the last one counts, and a line that a killed process left unfinished does not", async () => {
  const path = join(await folder(), "seconds.ndjson");
  const seconds = new Seconds(path);
  expect(await seconds.read()).toEqual(new Map());
  await seconds.add("a", 1.23456);
  await seconds.add("b", 2);
  await seconds.add("a", 3);
  writeFileSync(path, '{"task":"c","sec', { flag: "a" });
  expect(await seconds.read()).toEqual(
    new Map([
      ["a", 3],
      ["b", 2],
    ]),
  );
});
