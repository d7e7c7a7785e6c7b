import type { JobsOptions } from "bullmq";
import type { Redis } from "ioredis";
import { HalftoneError } from "../../errors.ts";

type BullMq = typeof import("bullmq");

/** A Redis, and the packages that speak to it: they are the user's, loaded when a queue is asked for. */
export interface Connection {
  readonly bullmq: BullMq;
  readonly client: Redis;
  close(): Promise<void>;
}

/** Only workers of the same arithmetic give the same bytes, so each has a queue of its own. */
export const queueName = (arithmetic: string): string => `halftone-${arithmetic.slice(0, 16)}`;

/** Results stand in the store: a job that is over leaves nothing behind, and may be asked for again. */
export const jobOptions: JobsOptions = { removeOnComplete: true, removeOnFail: true };

/**
 * @param url redis://[[user]:password@]host[:port][/database], or rediss:// for TLS
 * @throws HalftoneError OPTION_INVALID, QUEUE_UNAVAILABLE
 */
export async function connect(url: string): Promise<Connection> {
  if (!/^rediss?:\/\/[^/]/.test(url)) throw new HalftoneError("OPTION_INVALID", "--queue", url, "redis://HOST:PORT");
  const [bullmq, { Redis }] = await Promise.all([import("bullmq"), import("ioredis")]).catch((error: Error) => {
    throw new HalftoneError(
      "QUEUE_UNAVAILABLE",
      "--queue",
      `no package for it (${error.message.split("\n")[0]})`,
      "the packages bullmq and ioredis",
      "Install them beside halftone: npm install bullmq ioredis.",
    );
  });
  let trouble = "no answer";
  // Commands wait for a connection that is lost in the middle of the work, as long as it takes.
  const client = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: null });
  client.on("error", (error: Error) => {
    trouble = error.message || (error as NodeJS.ErrnoException).code || trouble;
  });
  await client.connect().catch(() => {
    client.disconnect();
    throw new HalftoneError("QUEUE_UNAVAILABLE", `--queue ${withoutPassword(url)}`, trouble, "a Redis that answers");
  });
  return {
    bullmq,
    client,
    async close() {
      await client.quit().catch(() => client.disconnect());
    },
  };
}

export function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, "//");
}
