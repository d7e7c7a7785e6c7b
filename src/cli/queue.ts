// Where a sweep and its workers meet.
import { HalftoneError } from "../errors.ts";
import { type Connection, connect } from "../tasks/executors/queue.connection.ts";
import type { Store } from "../tasks/store.ts";
import { redisStore } from "../tasks/store.redis.ts";
import type { QueueFlags } from "./queue-flags.ts";
import { folderStore } from "./store.ts";

/** @throws HalftoneError OPTION_INVALID, QUEUE_UNAVAILABLE, FILE_UNWRITABLE */
export async function openQueue({ queue, blobs }: QueueFlags): Promise<{ connection: Connection; store: Store }> {
  if (queue === undefined) throw new HalftoneError("OPTION_INVALID", "--blobs", "no --queue", "a queue whose blobs go through the folder");
  const folder = blobs === undefined ? undefined : await folderStore(blobs);
  const connection = await connect(queue);
  return { connection, store: folder ?? redisStore(connection.client, "halftone") };
}
