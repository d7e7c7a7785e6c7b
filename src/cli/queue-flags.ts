import { optional, type OptionalFlag } from "./data-flags.ts";

export interface QueueFlags {
  readonly queue?: string | undefined;
  readonly blobs?: string | undefined;
}

export const queueFlags: { readonly [flag in keyof Required<QueueFlags>]: OptionalFlag<string> } = {
  queue: optional(String, "redis://HOST:PORT", "A Redis through which sweeps and workers meet; needs the packages bullmq and ioredis"),
  blobs: optional(String, "FOLDER", "With --queue: models, data and results go through this shared folder, not through Redis"),
};
