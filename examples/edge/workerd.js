// Cloudflare Workers and whatever else runs workerd: plan and kernels are modules of the bundle, nothing is compiled at run time.
import kernels from "halftone/integer.wasm";
import { classifier } from "./classify.js";
import plan from "./model.halftone";

const classify = classifier(plan, kernels);

export default { fetch: classify };
