/** Gives what a key stands for: made once, kept while it is among the `most` last used. What could not be made is tried again next time. */
export function lastUsed(most: number): <T>(key: string, make: () => Promise<T>) => Promise<T> {
  const kept = new Map<string, Promise<unknown>>();
  return async <T>(key: string, make: () => Promise<T>): Promise<T> => {
    const made = (kept.get(key) as Promise<T> | undefined) ?? make();
    // A Map keeps the order of insertion: the first key is the one that was not used for longest.
    kept.delete(key);
    kept.set(key, made);
    if (kept.size > most) kept.delete(kept.keys().next().value!);
    try {
      return await made;
    } catch (error) {
      kept.delete(key);
      throw error;
    }
  };
}
