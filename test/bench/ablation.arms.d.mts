import type { LearningOptions, QuantizeOptions } from "../../src/quantized/options.ts";

export interface Arm {
  readonly column: string;
  readonly learning?: LearningOptions;
  readonly data?: Partial<Pick<QuantizeOptions, "samples" | "draw">>;
  readonly scaled?: boolean;
}
export interface Paired {
  readonly n: number;
  readonly mean: number;
  readonly sd: number;
  readonly interval: readonly [number, number];
  readonly p: number;
}
export interface Result extends Paired {
  readonly name: string;
  readonly rate: number;
  readonly adjusted: number;
  readonly verdict: "matters" | "robust" | "undecided";
}
export interface ArmRun {
  readonly learning: LearningOptions;
  readonly data?: Arm["data"];
  readonly seed: number;
}
export const arms: readonly Arm[];
export function nameOf(arm: Arm): string;
export function paired(differences: readonly number[]): Paired;
export function holm(ps: readonly number[]): number[];
export function verdict(paired: Paired, p: number): Result["verdict"];
export function ablate(options: {
  readonly run: (run: ArmRun) => Promise<{ readonly metric: number }>;
  readonly defaults: LearningOptions;
  readonly chosen: readonly Arm[];
  readonly seeds: number;
  readonly onRow?: (row: Record<string, unknown>) => void;
}): Promise<Result[]>;
