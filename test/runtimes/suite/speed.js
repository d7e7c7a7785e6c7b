import { createSession } from "halftone/runtime";

/** Long enough for coarse clocks, short enough for some rounds to pass undisturbed on a busy machine. */
const leastMilliseconds = 5;
const rounds = 25;

/** The same numbers for every engine. */
export function exampleInput({ plan }) {
  const { dims } = plan.values[plan.inputs[0]];
  return Float32Array.from({ length: dims.reduce((product, d) => product * d) }, (_, i) => ((i * 7) % 13) / 13 - 0.5);
}

export const answer = (session, input) => Array.from(Object.values(session.run(input))[0].codes);

/** Milliseconds of one run of a plan, on one thread, real numbers to codes, and the codes. */
export async function speed(plan) {
  const session = await createSession(plan);
  const input = exampleInput(session);
  const time = (runs) => {
    const started = performance.now();
    for (let i = 0; i < runs; i++) session.run(input);
    return performance.now() - started;
  };
  // Engines compile in tiers: half a second to warm up.
  let runs = 1;
  const warmUntil = performance.now() + 500;
  while (performance.now() < warmUntil) if (time(runs) < leastMilliseconds) runs *= 2;
  const times = Array.from({ length: rounds }, () => time(runs) / runs).sort((a, b) => a - b);
  const codes = answer(session, input);
  session[Symbol.dispose]();
  return { median: times[rounds >> 1], best: times[0], codes };
}
