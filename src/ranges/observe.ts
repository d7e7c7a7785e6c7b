// Watches values of a running engine.

import type { Engine } from "../engine/types.ts";
import { assert } from "../errors.ts";
import type { Tensor } from "../graph/types.ts";
import { Counter } from "./counter.ts";
import type { Histogram } from "./histogram.ts";

/** An engine with a table of counters in its memory. Counting happens where the values lie; nothing is copied. */
export class Observer {
  readonly engine: Engine;
  readonly #counter: Counter;

  constructor(engine: Engine) {
    this.engine = engine;
    this.#counter = new Counter(engine);
  }

  /**
   * Runs the graph once and adds every element of each named value to its histogram.
   *
   * @param values names of float32 values of the graph, graph inputs included
   * @param into   a histogram for each
   */
  observe(feeds: ReadonlyMap<string, Tensor>, values: readonly string[], into: readonly Histogram[]): void {
    const waiting = new Map(values.map((name, i) => [name, into[i]!]));
    this.engine.run(feeds, {
      taps: new Set(values),
      tap: (name, { ptr, dims }) => {
        const histogram = waiting.get(name);
        assert(histogram, `value '${name}' is shown once`);
        const size = dims.reduce((product, dim) => product * dim, 1);
        this.#counter.count(ptr, size, histogram);
        waiting.delete(name);
      },
    });
    assert(waiting.size === 0, `values ${[...waiting.keys()].join(", ")} are float32 and made by the graph`);
  }
}
