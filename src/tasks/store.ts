/**
 * Bytes by name. A name is a sha-256: of the bytes themselves, or of the task whose result they are; so what stands under a name never
 * changes, and may be written twice.
 */
export interface Store {
  get(name: string): Promise<Uint8Array | undefined>;
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** Whether it is there and will stay for a while. */
  has(name: string): Promise<boolean>;
}

/** For one process. Memory: everything put. */
export function memoryStore(): Store {
  const held = new Map<string, Uint8Array>();
  return {
    get: async (name) => held.get(name),
    put: async (name, bytes) => void held.set(name, bytes),
    has: async (name) => held.has(name),
  };
}
