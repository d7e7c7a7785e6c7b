import { serve } from "../../src/tasks/executors/serve.ts";
import { testKinds } from "./kinds.ts";

serve(testKinds);
