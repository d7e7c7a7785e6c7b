import { HalftoneError } from "../errors.ts";

/** Under Node by its own module: crypto.subtle would copy the bytes and start a thread for them, 7 MB for a plan of 4. */
async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  const node = globalThis.process?.getBuiltinModule?.("node:crypto");
  if (node) return node.createHash("sha256").update(bytes).digest();
  const subtle = globalThis.crypto?.subtle;
  if (subtle === undefined)
    throw new HalftoneError(
      "OPTION_INVALID",
      "plan hash",
      "no crypto.subtle",
      "a secure context",
      "Serve the page over https or from localhost, or load the plan with verify: false.",
    );
  return new Uint8Array(await subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
}

/**
 * sha-256(sha-256(program ‖ "\n" ‖ table) ‖ sha-256(data)), hexadecimal. Two levels, so that the tensors are hashed where they lie.
 *
 * @param program `__metadata__.halftone` as it stands in the file
 * @param table   one line per tensor: JSON name, element type, first byte, byte after the last
 */
export async function planHash(program: string, table: string, data: Uint8Array): Promise<string> {
  const words = new Uint8Array(64);
  words.set(await sha256(new TextEncoder().encode(`${program}\n${table}`)), 0);
  words.set(await sha256(data), 32);
  return Array.from(await sha256(words), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
