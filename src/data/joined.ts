/** The elements of all parts, one after the other. @param Type of the result: the parts' own */
export function joined<Part extends { readonly length: number }, All extends { set(part: Part, at: number): void }>(
  parts: readonly Part[],
  Type: new (length: number) => All,
): All {
  const all = new Type(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
