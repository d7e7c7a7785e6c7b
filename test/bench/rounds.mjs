// Fair times on a machine that others use too; the same code in Node and in pages.

/** GOP/s that the bare kernels have reached on the machine of RESULTS.md when it was idle; a round counts from 80 % of them on. */
export const controls = { int8: 81, f32: 44 };
const share = 0.8;
/** At least this many milliseconds of calls for each figure, so that the clock's grain does not count. */
const leastMilliseconds = 4;

/** CPU time of this process where it can be had: what a neighbour takes does not count. Else the clock. */
const cpu = globalThis.process?.cpuUsage;
export const clock = cpu ? "CPU time" : "wall clock";
function now() {
  if (!cpu) return performance.now();
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

async function time(run, repeats) {
  const start = now();
  for (let i = 0; i < repeats; i++) await run();
  return (now() - start) / repeats;
}

/** Calls until optimised code runs; returns how many calls make one figure. */
async function warmUp(run) {
  const start = performance.now();
  let calls = 0;
  while (performance.now() - start < 400 || calls < 4) {
    await run();
    calls++;
  }
  const each = await time(run, Math.max(1, Math.ceil((leastMilliseconds * calls) / (performance.now() - start))));
  return Math.max(1, Math.ceil(leastMilliseconds / each));
}

const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];

/**
 * Contenders take turns; each round begins with the bare kernels. Medians are those of the rounds in which both bare kernels were
 * near their best; where there are fewer than five, of all rounds.
 *
 * @param contenders { name, run }[]
 * @param bare       { int8, f32 }: { operations, run }
 * @returns          { counted, rounds, rates: { int8, f32 }, times: { name: { median, best } } }, milliseconds
 */
export async function compare(contenders, bare, rounds) {
  const all = [...Object.entries(bare).map(([name, b]) => ({ name, ...b })), ...contenders];
  const repeats = [];
  for (const { run } of all) repeats.push(await warmUp(run));
  const figures = [];
  for (let round = 0; round < rounds; round++) {
    const row = [];
    for (const [i, { run }] of all.entries()) row.push(await time(run, repeats[i]));
    figures.push(row);
  }
  const names = Object.keys(bare);
  const rate = (row, i) => all[i].operations / row[i] / 1e6;
  const quiet = figures.filter((row) => names.every((name, i) => rate(row, i) >= share * controls[name]));
  const kept = quiet.length >= 5 ? quiet : figures;
  const column = (rows, i) => rows.map((row) => row[i]);
  return {
    counted: quiet.length,
    rounds,
    rates: Object.fromEntries(names.map((name, i) => [name, median(kept.map((row) => rate(row, i)))])),
    times: Object.fromEntries(
      contenders.map(({ name }, i) => [
        name,
        { median: median(column(kept, names.length + i)), best: Math.min(...column(figures, names.length + i)) },
      ]),
    ),
  };
}

/** @param bytes of a bare kernel's module */
export async function instantiateBare({ bytes, operations }) {
  const { instance } = await WebAssembly.instantiate(bytes, {});
  return { operations, run: instance.exports.run };
}
