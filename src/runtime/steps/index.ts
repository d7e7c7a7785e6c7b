import type { Plan, Step } from "../../plan/types.ts";
import type { IntegerKernels } from "../kernels.ts";
import type { PreparedStep } from "../program.ts";
import { prepareAdd, prepareMul } from "./arithmetic.ts";
import { prepareConv } from "./conv.ts";
import { prepareCopy } from "./copy.ts";
import { prepareLookup } from "./lookup.ts";
import { prepareAvgpool, prepareMaxpool } from "./pool.ts";
import { prepareSoftmax } from "./softmax.ts";

type Preparers = {
  readonly [K in Step["kernel"]]: (step: Extract<Step, { kernel: K }>, plan: Plan, kernels: IntegerKernels) => PreparedStep;
};

/** One row per kernel of the plan. */
export const preparers: Omit<Preparers, "maxpool" | "avgpool"> & {
  readonly maxpool: typeof prepareMaxpool;
  readonly avgpool: typeof prepareAvgpool;
} = {
  conv: prepareConv,
  add: prepareAdd,
  mul: prepareMul,
  lookup: prepareLookup,
  maxpool: prepareMaxpool,
  avgpool: prepareAvgpool,
  copy: prepareCopy,
  softmax: prepareSoftmax,
};
