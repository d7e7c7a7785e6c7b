/** Files of an uncompressed tar archive (ustar), by name. Long names in extension headers are not needed here. */
export function untar(bytes: Uint8Array): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const decoder = new TextDecoder();
  const field = (at: number, length: number): string => decoder.decode(bytes.subarray(at, at + length)).replace(/\0.*$/s, "");
  for (let at = 0; at + 512 <= bytes.length && bytes[at] !== 0; ) {
    const prefix = field(at + 345, 155);
    const name = (prefix && `${prefix}/`) + field(at, 100);
    const size = Number.parseInt(field(at + 124, 12).trim() || "0", 8);
    const isFile = bytes[at + 156] === 0 || bytes[at + 156] === 48;
    if (isFile) files.set(name, bytes.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}
