import { sweepKinds } from "../src/sweep/kinds.ts";
import { serve } from "../src/tasks/executors/serve.ts";

// A worker for whole runs: what `worker.ts` does, and what quantizes, lowers and measures.
serve(sweepKinds);
