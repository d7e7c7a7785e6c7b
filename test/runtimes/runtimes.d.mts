import type { Answer, Job, Laid } from "./lay-out.mjs";

export interface Runtime {
  readonly name: string;
  readonly found: boolean;
  /** Of those that run scripts. */
  readonly executable?: string;
  /** The command that brings it. */
  readonly install: string;
  run(laid: Laid, job: Job): Promise<Answer>;
}
export const runtimes: readonly Runtime[];
