// Where the gradients of a step come from: the slices of its batch one after the other, here, or spread over a crew of workers.
import type { Graph } from "../graph/types.ts";
import type { Allocate } from "./cache.ts";
import { orderOf, type UnitOrder } from "./member.ts";
import type { Method } from "./methods.ts";
import { batchOf, cutBatch, type Examples, type Slice, SliceRunner, type StreamPath } from "./slices.ts";
import type { Unit } from "./unit.ts";

/** Makes the gradients of steps. */
export interface GradientSource {
  /** Samples a step, counted twice where the network behind judges a half of its own. */
  readonly rows: number;
  /** Leaves in the unit ∂L/∂Ŵ and ∂L/∂s of step `index`, for the weights and step sizes that it holds. @returns the loss */
  make(index: number): Promise<number>;
  release(): Promise<void>;
}

/** Other threads, each with a copy of the unit. */
export interface Crew {
  /** Memory that all threads see, if that is allowed here. */
  readonly allocate: Allocate;
  /** Gives every thread the unit. */
  open(order: UnitOrder, parameters: number, gradients: number): CrewUnit;
}

export interface CrewUnit {
  /** Weights and step sizes of the next step. */
  readonly parameters: Float32Array;
  /** Runs slices of a step; `consume` gets their gradients in the order of the slices, and the loss of each. */
  run(index: number, slices: readonly Slice[], consume: (gradients: Float32Array, loss: number) => void): Promise<void>;
  close(): Promise<void>;
}

/** In the unit itself. */
export function gradientsHere(unit: Unit, method: Method, examples: Examples, path: StreamPath): GradientSource {
  const runner = new SliceRunner(unit, method, examples, path);
  const { rows, slices } = cut(unit, method, examples);
  return {
    rows,
    async make(index) {
      unit.clearGradients();
      return slices.reduce((loss, slice) => loss + runner.run(index, slice), 0);
    },
    release: async () => runner.release(),
  };
}

/** In copies of the unit. */
export function gradientsOfCrew(
  crew: Crew,
  graph: Graph,
  unit: Unit,
  method: Method,
  examples: Examples,
  path: StreamPath,
): GradientSource {
  const order = orderOf(graph, unit, method, examples, path);
  const copies = crew.open(order, unit.parameterCount, unit.gradientCount);
  const { rows, slices } = cut(unit, method, examples);
  return {
    rows,
    async make(index) {
      unit.readParameters(copies.parameters);
      unit.clearGradients();
      let sum = 0;
      await copies.run(index, slices, (gradients, loss) => {
        unit.addGradients(gradients);
        sum += loss;
      });
      return sum;
    },
    release: () => copies.close(),
  };
}

function cut(unit: Unit, method: Method, examples: Examples): { rows: number; slices: readonly Slice[] } {
  const batch = batchOf(method, examples.samples);
  return { rows: batch * (examples.suffix ? 2 : 1), slices: cutBatch(batch, unit.largest) };
}
