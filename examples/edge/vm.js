// A generic edge VM: one script without modules, in which plan and kernels are bytes.
import kernels from "halftone/integer.wasm";
import { classifier } from "./classify.js";
import plan from "./model.halftone";

const classify = classifier(plan, kernels);

addEventListener("fetch", (event) => event.respondWith(classify(event.request)));
