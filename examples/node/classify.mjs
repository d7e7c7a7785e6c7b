// node examples/node/classify.mjs MODEL.halftone          after npm run build; elsewhere, after npm install halftone
import { createSession } from "halftone/runtime";

const session = await createSession(process.argv[2]);
console.log(`${session.verify()} golden inputs give the same integers here`);

// One array per input of the model, by name: real numbers, int8 codes, bytes or ImageData.
const inputs = Object.fromEntries(
  session.plan.inputs.map((i) => {
    const { name, dims } = session.plan.values[i];
    const length = dims.reduce((product, d) => product * d, 1);
    return [name, Float32Array.from({ length }, (_, k) => (k % 7) / 7)];
  }),
);
for (const { name, dims, values, codes } of Object.values(session.run(inputs))) {
  const best = values.indexOf(Math.max(...values));
  console.log(`${name} [${dims.join(", ")}]: largest value ${values[best]} (code ${codes[best]}) at ${best}`);
}
session[Symbol.dispose]();
