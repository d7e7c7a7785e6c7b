// The border on the way out: codes in the plan's order and pitch become arrays in the model's order.
import { logicalElements } from "../plan/layout.ts";
import type { PlanValue } from "../plan/types.ts";
import { copyRun, rowsOf } from "./rows.ts";
import type { OutputTensor } from "./tensors.ts";

type Codes = Int8Array | Int32Array;

/** Which scale each element has: all of one channel are neighbours at a distance. */
function dequantize(codes: Codes, value: PlanValue): Float32Array {
  const values = new Float32Array(codes.length);
  const { scale, zeroPoint } = value;
  const axis = value.order.at(-1) ?? 0;
  const inner = value.dims.slice(axis + 1).reduce((product, extent) => product * extent, 1);
  const channels = scale.length === 1 ? 1 : (value.dims[axis] ?? 1);
  for (let i = 0; i < codes.length; i++) {
    const channel = channels === 1 ? 0 : Math.floor(i / inner) % channels;
    values[i] = scale[channel]! * (codes[i]! - zeroPoint);
  }
  return values;
}

class Decoded implements OutputTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly codes: Codes;
  readonly scale: readonly number[];
  readonly zeroPoint: number;
  private readonly value: PlanValue;
  private real: Float32Array | undefined;

  constructor(value: PlanValue, dims: readonly number[], codes: Codes) {
    this.value = value;
    this.name = value.name;
    this.dims = dims;
    this.codes = codes;
    this.scale = value.scale;
    this.zeroPoint = value.zeroPoint;
  }

  get values(): Float32Array {
    return (this.real ??= dequantize(this.codes, this.value));
  }
}

/** A value of the plan whose codes are read from linear memory, sample by sample. */
export class OutputPort {
  readonly value: PlanValue;
  private readonly rows: ReturnType<typeof rowsOf>;

  constructor(value: PlanValue) {
    this.value = value;
    this.rows = rowsOf(value);
  }

  allocate(count: number): Codes {
    const size = count * logicalElements(this.value);
    return this.value.type === "int8" ? new Int8Array(size) : new Int32Array(size);
  }

  /** A copy of one sample. One run is copied into an array that is not zeroed first. @param memory as in `read` */
  take(memory: Codes): Codes {
    const size = logicalElements(this.value);
    if (this.rows.length === size && this.rows.stride === 1) return memory.slice(0, size);
    const codes = this.allocate(1);
    this.read(memory, codes, 0);
    return codes;
  }

  /** @param memory of the value's type, from its first element on */
  read(memory: Codes, codes: Codes, index: number): void {
    const first = index * logicalElements(this.value);
    const { length, stride, each } = this.rows;
    each((logical, physical) => copyRun(memory, physical, stride, codes, first + logical, 1, length));
  }

  /** @param count samples, or undefined for one without a batch axis */
  tensor(codes: Codes, count: number | undefined): OutputTensor {
    const { dims } = this.value;
    return new Decoded(this.value, count === undefined ? dims : [count, ...dims], codes);
  }
}
