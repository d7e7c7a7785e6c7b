// From nothing to the first result, as a user's program does it. Prints Session.bytes too.
import { createSession } from "../../../dist/runtime.js";
import { report } from "./report.mjs";

const session = await createSession(process.argv[2]);
const input = session.plan.values[session.plan.inputs[0]];
session.run(new Float32Array(input.dims.reduce((product, d) => product * d, 1)));
report({ linear: session.bytes.total, bytes: session.bytes });
