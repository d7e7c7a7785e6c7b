// Memory of an engine that a caller uses again from step to step.
import type { Home } from "./parametrizations/types.ts";

/** Floats by name; what a name held is lost when it asks for more. Memory: the most that each name asked for. */
export class Buffers {
  readonly #home: Pick<Home, "allocate" | "release">;
  readonly #held = new Map<string, { readonly ptr: number; readonly elements: number }>();

  constructor(home: Pick<Home, "allocate" | "release">) {
    this.#home = home;
  }

  /** Where at least so many floats lie. @throws HalftoneError OUT_OF_MEMORY */
  floats(name: string, elements: number): number {
    const held = this.#held.get(name);
    if (held && held.elements >= elements) return held.ptr;
    if (held) this.#home.release(held.ptr);
    const ptr = this.#home.allocate(elements * 4 + 16);
    this.#held.set(name, { ptr, elements });
    return ptr;
  }

  release(): void {
    for (const { ptr } of this.#held.values()) this.#home.release(ptr);
    this.#held.clear();
  }
}
