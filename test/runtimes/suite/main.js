import { abilities } from "./abilities.js";
import { failures } from "./failures.js";
import { golden } from "./golden.js";
import { speed } from "./speed.js";

/**
 * A job: `files` of the golden suite, `passes` (options of each pass), `failures` if they are to be tried, `plans` to time.
 *
 * @param open bytes of a fixture by its name
 */
export async function main(job, open) {
  const read = async (names) => new Map(await Promise.all(names.map(async (name) => [name, await open(name)])));
  const files = await read(job.files);
  const passes = [];
  for (const pass of job.passes) {
    const started = performance.now();
    passes.push({ ...pass, ...(await golden(files, pass)), milliseconds: Math.round(performance.now() - started) });
  }
  const times = {};
  for (const [name, plan] of await read(job.plans)) times[name] = await speed(plan);
  return { ...abilities(), passes, times, failures: job.failures ? await failures() : undefined };
}
