import type { TaskContext } from "../context.ts";

/**
 * What one name needs, made anew when another is asked for: one in a thread, since that of the name before has no further use.
 *
 * @param kind of thing; each has its own
 */
export async function single<T>(context: TaskContext, kind: string, name: string | undefined, make: () => Promise<T>): Promise<T> {
  const slot = await context.memo(kind, async () => ({ name, made: make() }));
  if (slot.name !== name) {
    slot.name = name;
    slot.made = make();
  }
  return slot.made;
}
