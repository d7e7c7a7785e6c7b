import type { Plan, Step } from "../../plan/types.ts";
import type { IntegerKernels } from "../kernels.ts";
import type { PreparedStep } from "../program.ts";
import { prepareAdd, prepareMul } from "./arithmetic.ts";
import { prepareConstant } from "./constant.ts";
import { prepareConv } from "./conv.ts";
import { prepareCopy } from "./copy.ts";
import { prepareLookup } from "./lookup.ts";
import { prepareMatmul } from "./matmul.ts";
import { prepareLayernorm } from "./norm.ts";
import { prepareAvgpool, prepareMaxpool } from "./pool.ts";
import { prepareSoftmax } from "./softmax.ts";

type Prepare<S> = (step: S, plan: Plan, kernels: IntegerKernels) => PreparedStep;

/** One row per kernel of the plan. */
export const preparers: { readonly [K in Step["kernel"]]: Prepare<Step & { kernel: K }> } = {
  conv: prepareConv,
  add: prepareAdd,
  mul: prepareMul,
  lookup: prepareLookup,
  maxpool: prepareMaxpool,
  avgpool: prepareAvgpool,
  copy: prepareCopy,
  softmax: prepareSoftmax,
  matmul: prepareMatmul,
  layernorm: prepareLayernorm,
  constant: prepareConstant,
};
