// Watches values of a running engine.

import type { Engine } from "../engine/types.ts";
import { assert } from "../errors.ts";
import type { Tensor } from "../graph/types.ts";
import { Counter } from "./counter.ts";
import { Histogram } from "./histogram.ts";

/** An engine with a table of counters in its memory. Counting happens where the values lie; nothing is copied. */
export class Observer {
  readonly engine: Engine;
  readonly #counter: Counter;

  constructor(engine: Engine) {
    this.engine = engine;
    this.#counter = new Counter(engine);
  }

  /**
   * Runs the graph once and counts every element of the named values, in the order of the names.
   *
   * @param values names of float32 values of the graph, graph inputs included
   */
  observe(feeds: ReadonlyMap<string, Tensor>, values: readonly string[]): Histogram[] {
    const histograms = new Map(values.map((name) => [name, new Histogram()]));
    const seen = new Set<string>();
    this.engine.run(feeds, {
      taps: new Set(values),
      tap: (name, { ptr, dims }) => {
        seen.add(name);
        this.#counter.count(
          ptr,
          dims.reduce((product, dim) => product * dim, 1),
          histograms.get(name)!,
        );
      },
    });
    return values.map((name) => {
      assert(seen.has(name), `value '${name}' is float32 and made by the graph`);
      return histograms.get(name)!;
    });
  }
}
