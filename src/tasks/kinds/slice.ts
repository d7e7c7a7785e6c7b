import { assert } from "../../errors.ts";
import { Member, type UnitOrder } from "../../reconstruct/member.ts";
import type { Slice } from "../../reconstruct/slices.ts";
import type { TaskKind } from "../kinds.ts";
import { single } from "./single.ts";

/** A slice of a step of learning the unit that is the task's state. */
export interface SlicePayload {
  readonly index: number;
  readonly slice: Slice;
  readonly parameters: Float32Array;
  /** Where the gradients go: memory shared with the caller, or room that comes back with the result. */
  readonly gradients: Float32Array;
}

export interface SliceResult {
  readonly loss: number;
  readonly gradients: Float32Array;
}

/** One slice's gradients; without a state, the unit is forgotten. Memory: the unit, and one slice's values. */
export const slice: TaskKind = {
  async run({ state, payload }, context): Promise<SliceResult | undefined> {
    const member = await single(context, "unit", state, async () =>
      state === undefined ? undefined : Member.open(context.state as UnitOrder),
    );
    if (!member) return undefined;
    const { index, slice, parameters, gradients } = payload as SlicePayload;
    assert(gradients.length > 0, "there is room for gradients");
    return { loss: member.run(index, slice, parameters, gradients), gradients };
  },
};
