// A step becomes a list of kernel calls with integer arguments. Addresses stay symbolic (region + offset) until the session
// has placed constants, scratch and arena in linear memory.

export interface Call {
  readonly run: (...args: number[]) => void;
  readonly args: readonly number[];
}

/** Where the session has placed a step's memory: byte addresses, multiples of 16. */
export interface Placement {
  readonly constants: number;
  readonly scratch: number;
  readonly arena: number;
}

export interface PreparedStep {
  /** Bytes of packed constants (weights, tables), 16-byte aligned, written once by bind. */
  readonly constantBytes: number;
  /** Bytes of scratch, shared by all steps. */
  readonly scratchBytes: number;
  /** Writes constants at `constants` and returns the calls of one sample. */
  bind(memory: WebAssembly.Memory, at: Placement): Call[];
}

/** A place in one of the three regions, in bytes from its start. */
export interface Address {
  readonly region: keyof Placement;
  readonly offset: number;
}

export type Argument = number | Address;

/** The address `bytes` further on. */
export function plus(address: Address, bytes: number): Address {
  return { region: address.region, offset: address.offset + bytes };
}

/** An address of the arena; `offset` in bytes, as PlanValue.offset. */
export function inArena(offset: number): Address {
  return { region: "arena", offset };
}

const align16 = (bytes: number): number => Math.ceil(bytes / 16) * 16;

/** Kernels read and write whole vectors: up to this many bytes beyond the last element of a buffer (reads also beyond the arena). */
export const slack = 32;

/** Collects the constants, scratch buffers and calls of one step. */
export class Program implements PreparedStep {
  private readonly constants: { readonly offset: number; readonly bytes: Uint8Array }[] = [];
  private readonly setups: Program["calls"] = [];
  private readonly calls: { readonly run: Call["run"]; readonly args: readonly Argument[] }[] = [];
  constantBytes = 0;
  scratchBytes = 0;

  constant(data: Int8Array | Uint8Array | Int16Array | Int32Array | Uint32Array): Address {
    const offset = this.constantBytes;
    this.constants.push({ offset, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) });
    this.constantBytes = align16(offset + data.byteLength + slack);
    return { region: "constants", offset };
  }

  /** Constants that `setup` calls fill when the step is bound. */
  space(bytes: number): Address {
    const offset = this.constantBytes;
    this.constantBytes = align16(offset + bytes + slack);
    return { region: "constants", offset };
  }

  scratch(bytes: number): Address {
    const offset = this.scratchBytes;
    this.scratchBytes = align16(offset + bytes + slack);
    return { region: "scratch", offset };
  }

  call(run: Call["run"], ...args: Argument[]): void {
    this.calls.push({ run, args });
  }

  /** A call made once, by bind: it turns constants into other constants. */
  setup(run: Call["run"], ...args: Argument[]): void {
    this.setups.push({ run, args });
  }

  bind(memory: WebAssembly.Memory, at: Placement): Call[] {
    const bytes = new Uint8Array(memory.buffer);
    for (const { offset, bytes: data } of this.constants) bytes.set(data, at.constants + offset);
    const resolve = (a: Argument): number => (typeof a === "number" ? a : at[a.region] + a.offset);
    for (const { run, args } of this.setups) run(...args.map(resolve));
    return this.calls.map(({ run, args }) => ({ run, args: args.map(resolve) }));
  }
}
