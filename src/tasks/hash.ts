import type { Blob } from "./types.ts";

/** sha-256, hexadecimal. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  return Array.from(await digest(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function digest(bytes: Uint8Array): Promise<Uint8Array> {
  const subtle = globalThis.crypto?.subtle;
  if (subtle) return new Uint8Array(await subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
  // Pages that are not served securely have no crypto.subtle.
  return (await import("@noble/hashes/sha2.js")).sha256(bytes);
}

/** Bytes under their hash, for the `shared` inputs of tasks. */
export async function blobOf(bytes: Uint8Array): Promise<Blob> {
  return { hash: await sha256(bytes), bytes };
}
