/** Memory of all typed arrays in plain data, each once: to be handed over rather than copied. */
export function buffersOf(value: unknown): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>();
  const visit = (part: unknown): void => {
    if (typeof part !== "object" || part === null) return;
    if (part instanceof ArrayBuffer) found.add(part);
    else if (ArrayBuffer.isView(part)) {
      if (part.buffer instanceof ArrayBuffer) found.add(part.buffer);
    } else if (part instanceof Map || part instanceof Set) for (const entry of part) visit(entry);
    else for (const entry of Object.values(part)) visit(entry);
  };
  visit(value);
  return [...found];
}
