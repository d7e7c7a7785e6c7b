// Methods that follow another one.
import type { Method } from "./methods.ts";

/**
 * The step sizes of activations alone, the weights' codes being settled: float inputs, Σ |d|^2.4, no regularizer, every element quantized.
 * Source: Li et al. 2021 (BRECQ), as released.
 */
export function activationsAlone(method: Method, iterations: number): Method {
  return {
    parametrization: "nearest",
    start: "codes",
    objective: { kind: "output", p: 2.4 },
    scope: method.scope,
    activations: { kind: "quantized", keep: 1, rate: 4e-4, scaled: false },
    schedule: { ...method.schedule, iterations, lambda: 0 },
    weightRange: method.weightRange,
    inputKeep: 0,
  };
}
