import { serve } from "../src/tasks/executors/serve.ts";
import { taskKinds } from "../src/tasks/kinds/table.ts";

// One worker for every runtime: Node's worker_threads, Web Workers in browsers, Deno and Bun.
serve(taskKinds);
