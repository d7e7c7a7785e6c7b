import { assert } from "../../errors.ts";
import { Member, type UnitOrder } from "../../reconstruct/member.ts";
import type { Slice } from "../../reconstruct/slices.ts";
import type { TaskKind } from "../kinds.ts";

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
    // One unit a thread: that of the part before has no further use.
    const slot = await context.memo("unit", async () => ({ name: "", member: undefined as Promise<Member> | undefined }));
    if (slot.name !== state) {
      slot.name = state ?? "";
      slot.member = state === undefined ? undefined : Member.open(context.state as UnitOrder);
    }
    if (!slot.member) return undefined;
    const { index, slice, parameters, gradients } = payload as SlicePayload;
    const member = await slot.member;
    assert(gradients.length > 0, "there is room for gradients");
    return { loss: member.run(index, slice, parameters, gradients), gradients };
  },
};
