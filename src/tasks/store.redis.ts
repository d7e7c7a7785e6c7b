import { joined } from "../data/joined.ts";
import type { Store } from "./store.ts";

/** What is asked of a Redis client. */
export interface RedisClient {
  getBuffer(key: string): Promise<Uint8Array | null>;
  setex(key: string, seconds: number, value: Buffer | string): Promise<unknown>;
  expire(key: string, seconds: number): Promise<number>;
}

/** Redis answers nobody else while it moves a value: large ones come in pieces of 4 MiB. */
const chunk = 4_194_304;
/** Nobody has asked for it for a week: it goes by itself. */
const seconds = 604_800;

/**
 * Pieces of a value under `prefix:name:i`, and their number under `prefix:name`, which is written last: what is found is whole.
 *
 * @param size of a piece, in bytes
 */
export function redisStore(client: RedisClient, prefix: string, size: number = chunk): Store {
  const key = (name: string, piece?: number): string => `${prefix}:${name}${piece === undefined ? "" : `:${piece}`}`;
  const keysOf = (name: string, pieces: number): string[] => [...Array.from({ length: pieces }, (_, i) => key(name, i)), key(name)];
  const count = async (name: string): Promise<number | undefined> => {
    const text = await client.getBuffer(key(name));
    return text ? Number(new TextDecoder().decode(text)) : undefined;
  };
  return {
    async get(name) {
      const pieces = await count(name);
      if (pieces === undefined) return undefined;
      const parts: Uint8Array[] = [];
      for (let i = 0; i < pieces; i++) {
        const part = await client.getBuffer(key(name, i));
        if (!part) return undefined;
        parts.push(part);
      }
      return joined(parts, Uint8Array);
    },
    async put(name, bytes) {
      const pieces = Math.ceil(bytes.length / size);
      for (let i = 0; i < pieces; i++) await client.setex(key(name, i), seconds, Buffer.from(bytes.subarray(i * size, (i + 1) * size)));
      await client.setex(key(name), seconds, String(pieces));
    },
    async has(name) {
      const pieces = await count(name);
      if (pieces === undefined) return false;
      const kept = await Promise.all(keysOf(name, pieces).map((each) => client.expire(each, seconds)));
      return kept.every((found) => found === 1);
    },
  };
}
