/** Prints what this process has cost so far; `performance.now()` counts from its start. */
export function report(more) {
  const first = performance.now();
  const { user, system } = process.cpuUsage();
  globalThis.gc?.();
  const rss = process.memoryUsage.rss();
  console.log(JSON.stringify({ first, cpu: (user + system) / 1000, rss, ...more }));
  process.exit(0);
}
