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

/**
 * Calls that may run beside those of other parts: parts write different bytes of the arena, and whatever else they write lies in scratch.
 * So do the items of a part, once the prologue has run in the same scratch.
 */
export interface Part<C = Call> {
  readonly prologue: readonly C[];
  readonly items: readonly (readonly C[])[];
}

export interface PreparedStep {
  /** Bytes of packed constants (weights, tables), 16-byte aligned. */
  readonly constantBytes: number;
  /** Bytes of scratch, shared by all steps. */
  readonly scratchBytes: number;
  /** Writes the constants and lets go of them. */
  store(memory: WebAssembly.Memory, constants: number): void;
  /** Turns constants into other constants, once, after `store`. */
  setUp(at: Placement): void;
  /** The calls of one sample, in an order in which they may run. */
  parts(at: Placement): Part[];
  /** All of it; the calls of one sample in order. */
  bind(memory: WebAssembly.Memory, at: Placement): Call[];
}

export function callsOf(parts: readonly Part[]): Call[] {
  return parts.flatMap(({ prologue, items }) => [...prologue, ...items.flat()]);
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

interface SymbolicCall {
  readonly run: Call["run"];
  readonly args: readonly Argument[];
}

const resolve =
  (at: Placement) =>
  ({ run, args }: SymbolicCall): Call => ({ run, args: args.map((a) => (typeof a === "number" ? a : at[a.region] + a.offset)) });

/** Collects the constants, scratch buffers and calls of one step. */
export class Program implements PreparedStep {
  private constants: { readonly offset: number; readonly bytes: Uint8Array }[] = [];
  private readonly setups: SymbolicCall[] = [];
  private readonly all: { readonly prologue: SymbolicCall[]; readonly items: SymbolicCall[][] }[] = [{ prologue: [], items: [[]] }];
  /** Where calls go: an item of the last part, or its prologue. */
  private open: SymbolicCall[] = this.all[0]!.items[0]!;
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

  /** What each of `makers` reserves in scratch lies in the same place: one is done before the next begins. */
  inTurn<T>(makers: readonly (() => T)[]): T[] {
    const start = this.scratchBytes;
    let end = start;
    const made = makers.map((make) => {
      this.scratchBytes = start;
      const result = make();
      end = Math.max(end, this.scratchBytes);
      return result;
    });
    this.scratchBytes = end;
    return made;
  }

  /** Begins a part, with its prologue. */
  part(): void {
    this.open = [];
    this.all.push({ prologue: this.open, items: [] });
  }

  /** Begins an item of the part. */
  item(): void {
    this.open = [];
    this.all.at(-1)!.items.push(this.open);
  }

  call(run: Call["run"], ...args: Argument[]): void {
    this.open.push({ run, args });
  }

  /** A call made once: it turns constants into other constants. */
  setup(run: Call["run"], ...args: Argument[]): void {
    this.setups.push({ run, args });
  }

  store(memory: WebAssembly.Memory, constants: number): void {
    const bytes = new Uint8Array(memory.buffer);
    for (const { offset, bytes: data } of this.constants) bytes.set(data, constants + offset);
    this.constants = [];
  }

  setUp(at: Placement): void {
    for (const { run, args } of this.setups.map(resolve(at))) run(...args);
  }

  parts(at: Placement): Part[] {
    const bound = resolve(at);
    const parts = this.all.map(({ prologue, items }) => ({ prologue: prologue.map(bound), items: items.map((calls) => calls.map(bound)) }));
    return parts.filter(({ prologue, items }) => prologue.length + items.flat().length > 0);
  }

  bind(memory: WebAssembly.Memory, at: Placement): Call[] {
    this.store(memory, at.constants);
    this.setUp(at);
    return callsOf(this.parts(at));
  }
}
