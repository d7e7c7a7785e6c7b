export interface Job {
  readonly files: readonly string[];
  readonly plans: readonly string[];
  readonly passes: readonly { readonly workers: number; readonly threads: number }[];
  readonly failures?: boolean;
}
export interface Answer {
  readonly version: string;
  readonly simd: boolean;
  readonly sharedMemory: boolean;
  readonly workers: "worker_threads" | "Web Workers" | "none";
  readonly passes: readonly {
    readonly workers: number;
    readonly threads: number;
    readonly hashes: Readonly<Record<string, string>>;
    readonly milliseconds: number;
  }[];
  readonly times: Readonly<Record<string, { readonly median: number; readonly best: number; readonly codes: readonly number[] }>>;
  readonly failures?: Readonly<Record<string, readonly (string | undefined)[]>>;
}
export interface Laid {
  readonly folder: string;
  readonly files: readonly string[];
  readonly plans: readonly string[];
}
type Files = Readonly<Record<string, Uint8Array>>;
export function layOut(folder: string, dist: string, programs: Files, plans?: Files): Promise<Laid>;
