import type { Answer, Job, Laid } from "./lay-out.mjs";

export interface Runtime {
  readonly name: string;
  readonly found: boolean;
  /** The command that brings it. */
  readonly install: string;
  run(laid: Laid, job: Job): Promise<Answer>;
}
export const runtimes: readonly Runtime[];
