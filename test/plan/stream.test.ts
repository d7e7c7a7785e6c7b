import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { HalftoneError } from "../../src/errors.ts";
import { readPlan, receivePlan } from "../../src/plan/reader.ts";
import { plansEqual, writePlan } from "../../src/plan/writer.ts";
import { createSession } from "../../src/runtime/index.ts";
import { randomPlan } from "./random.ts";

const plan = randomPlan(7, 10);
const file = await writePlan(plan);

/** The bytes in pieces of `size`; `pulled` counts those that were asked for. */
function streamOf(bytes: Uint8Array, size: number): { stream: ReadableStream<Uint8Array>; pulled: () => number } {
  let next = 0;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (next >= bytes.length) return controller.close();
        controller.enqueue(bytes.slice(next, next + size));
        next += size;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, pulled: () => Math.min(next, bytes.length) };
}

async function refusal(work: Promise<unknown>): Promise<HalftoneError> {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(HalftoneError);
  return error as HalftoneError;
}

test.each([1, 7, 8, 1000, 65_536, 1 << 24])("arrives in pieces of %d bytes", async (size) => {
  const got = await receivePlan(streamOf(file, size).stream);
  expect(got).toEqual(file);
  expect(got.buffer.byteLength).toBe(file.length);
  expect(plansEqual(await readPlan(got), plan)).toBe(true);
});

test("a file that was cut off anywhere is refused by its reader", async () => {
  for (const length of [0, 5, 8, 100, file.length >> 1, file.length - 1]) {
    const got = await receivePlan(streamOf(file.subarray(0, length), 64).stream);
    expect((await refusal(readPlan(got))).code).toBe("PLAN_MALFORMED");
  }
});

test("a byte too many is refused", async () => {
  for (const size of [1, 1 << 24])
    expect((await refusal(receivePlan(streamOf(Uint8Array.from([...file, 0]), size).stream))).code).toBe("PLAN_MALFORMED");
});

test("what is no plan, or another version's, is refused before its data arrives", async () => {
  const header = (json: string, data: number): Uint8Array => {
    const bytes = new Uint8Array(8 + json.length + data);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
    bytes.set(new TextEncoder().encode(json), 8);
    return bytes;
  };
  const tensor = `"w":{"dtype":"U8","shape":[1000000],"data_offsets":[0,1000000]}`;
  const metadata = (program: object): string => JSON.stringify({ format: "halftone", halftone: JSON.stringify(program) });
  const rows = [
    [header(`{${tensor}}`, 1e6), "PLAN_MALFORMED"],
    [header(`{"__metadata__":${metadata({ version: 99, arithmetic: "x" })},${tensor}}`, 1e6), "PLAN_VERSION"],
    [new Uint8Array(1e6).fill(0xff), "PLAN_MALFORMED"],
    [new TextEncoder().encode("<!doctype html>".repeat(1000)), "PLAN_MALFORMED"],
  ] as const;
  for (const [bytes, code] of rows) {
    const { stream, pulled } = streamOf(bytes, 512);
    expect((await refusal(receivePlan(stream))).code).toBe(code);
    expect(pulled()).toBeLessThan(2000);
  }
});

test("a session from an address: streamed, cancelled, broken off", async () => {
  const held: (() => void)[] = [];
  const server = createServer((request, response) => {
    if (request.url === "/plan") response.end(file);
    else if (request.url === "/slow") {
      response.write(file.subarray(0, 1000));
      held.push(() => response.destroy());
    } else {
      response.writeHead(200, { "content-length": file.length });
      response.write(file.subarray(0, 1000), () => setTimeout(() => response.destroy(), 20));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = (path: string): URL => new URL(path, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    const session = await createSession(url("/plan"));
    expect(session.plan.steps).toEqual(plan.steps);
    const started = performance.now();
    expect((await refusal(createSession(url("/slow"), { signal: AbortSignal.timeout(50) }))).code).toBe("CANCELLED");
    expect(performance.now() - started).toBeLessThan(2000);
    expect((await refusal(createSession(url("/broken")))).code).toBe("FILE_UNREADABLE");
  } finally {
    for (const release of held) release();
    server.close();
  }
});
