// Parts and layers that are done, as bytes by name: what a run that was stopped continues from.
import type { LearnerStore } from "./reconstruct/network/distill.ts";
import type { LearnerState } from "./reconstruct/network/learner.ts";
import type { Hardened } from "./reconstruct/parametrizations/types.ts";
import type { CheckpointStore } from "./reconstruct/types.ts";
import { pack, unpack } from "./tasks/pack.ts";

/** Where bytes are kept by name: a folder, OPFS, a map. One store holds the parts of one run: same model, data and options. */
export interface PartStore {
  /** The bytes, or undefined where nothing is kept. */
  get(name: string): Promise<Uint8Array | undefined>;
  /** Keeps them whole, or not at all. */
  put(name: string, bytes: Uint8Array): Promise<void>;
}

interface PlainPart {
  readonly weights: readonly (readonly [name: string, Hardened])[];
  readonly scales: readonly (readonly [group: string, number])[];
  readonly undecided: number;
}

/** Learned parts in a store. @param prefix of their names, where several phases share it */
export function learnedParts(store: PartStore, prefix = ""): CheckpointStore {
  return {
    async load(part) {
      const bytes = await store.get(`${prefix}part-${part}`);
      if (!bytes) return undefined;
      const { weights, scales, undecided } = unpack(bytes) as PlainPart;
      return { weights: new Map(weights), scales: new Map(scales), undecided };
    },
    save(part, { weights, scales, undecided }) {
      const plain: PlainPart = { weights: [...weights], scales: [...scales], undecided };
      return store.put(`${prefix}part-${part}`, pack(plain));
    },
  };
}

/** A network that is learned as a whole, as it was last kept. */
export function learnedNetwork(store: PartStore): LearnerStore {
  return {
    async load() {
      const bytes = await store.get("network");
      return bytes && (unpack(bytes) as LearnerState);
    },
    save: (state) => store.put("network", pack(state)),
  };
}

/** Results of layers in a store. */
export function settledLayers<Result>(store: PartStore | undefined): {
  load(layer: number): Promise<Result | undefined>;
  save(layer: number, result: Result): Promise<void>;
} {
  return {
    async load(layer) {
      const bytes = await store?.get(`layer-${layer}`);
      return bytes && (unpack(bytes) as Result);
    },
    async save(layer, result) {
      await store?.put(`layer-${layer}`, pack(result));
    },
  };
}
