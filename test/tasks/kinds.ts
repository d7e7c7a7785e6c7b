import { HalftoneError } from "../../src/errors.ts";
import type { TaskKinds } from "../../src/tasks/kinds.ts";

const never = new Promise<never>(() => {});

/** Kinds that the product has not: what tests need to see of a worker. */
export const testKinds: TaskKinds = {
  double: {
    async run({ payload }) {
      return Float32Array.from(payload as Float32Array, (value) => value * 2);
    },
  },
  /** Takes longer the smaller its payload: results come back out of order. */
  late: {
    async run({ payload }) {
      await new Promise((resolve) => setTimeout(resolve, (payload as number) % 2 === 0 ? 15 : 1));
      return payload;
    },
  },
  refuse: {
    async run({ payload, label }) {
      if ((payload as number) >= 3) throw new HalftoneError("NOT_FINITE", `${label}, sample ${payload}`, "NaN", "a number", "Look at it.");
      return payload;
    },
  },
  refuseOdd: {
    async run({ payload, label }) {
      if ((payload as number) % 2 === 1) throw new HalftoneError("NOT_FINITE", `${label}, sample ${payload}`, "NaN", "a number");
      return payload;
    },
  },
  bug: {
    async run() {
      throw new RangeError("index 7 out of 3");
    },
  },
  crash: {
    async run() {
      setTimeout(() => {
        throw new Error("out of the blue");
      });
      return never;
    },
  },
  crashOnce: {
    async run({ payload }) {
      const fs = process.getBuiltinModule("node:fs");
      const { marker, value } = payload as { marker: string; value: number };
      if (value !== 1 || fs.existsSync(marker)) return value;
      fs.writeFileSync(marker, "");
      process.getBuiltinModule("node:process").exit(3);
    },
  },
  hang: {
    async run() {
      for (;;);
    },
  },
  hangOnce: {
    async run({ payload }) {
      const fs = process.getBuiltinModule("node:fs");
      const { marker, value } = payload as { marker: string; value: number };
      if (value !== 1 || fs.existsSync(marker)) return value;
      fs.writeFileSync(marker, "");
      for (;;);
    },
  },
  block: {
    async run({ payload }) {
      const end = performance.now() + (payload as number);
      while (performance.now() < end);
      return payload;
    },
  },
  breathe: {
    async run({ payload }, context) {
      for (let i = 0; i < (payload as number); i++) {
        const end = performance.now() + 5;
        while (performance.now() < end);
        await context.breathe();
      }
      return payload;
    },
  },
  /** How often the memo was made, and which blobs are there. */
  memory: {
    async run({ shared }, context) {
      const made = await context.memo(shared.join(), async () => ({ times: 0 }));
      made.times++;
      return { times: made.times, bytes: shared.map((hash) => context.shared.get(hash)!.length), held: context.shared.size };
    },
  },
};
