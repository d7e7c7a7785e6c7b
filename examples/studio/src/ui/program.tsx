import { cancel, outcome, ready, running } from "../state.ts";
import { Progress } from "./progress.tsx";
import { recipeForm } from "./recipe.tsx";
import { Results } from "./results.tsx";

/** Where a run is started, watched and taken away. */
export function Program() {
  const done = outcome.value;
  return (
    <section class="card program" aria-labelledby="program-title">
      <div class="program-head">
        <h2 id="program-title">Integer program</h2>
        <p class="aside made">{running.value ? "working" : done ? madeOf(done) : "one click away"}</p>
        <button type="submit" class="primary" form={recipeForm} disabled={!ready.value}>
          Quantize
        </button>
        <button type="button" disabled={!running.value} onClick={() => cancel()}>
          Cancel
        </button>
      </div>
      <Progress />
      <Results />
    </section>
  );
}

function madeOf({ hash, seconds, workers, resumedParts }: NonNullable<typeof outcome.value>) {
  const resumed = resumedParts > 0 ? `, ${resumedParts} ${resumedParts === 1 ? "part" : "parts"} from before` : "";
  return (
    <>
      <span>
        {seconds.toFixed(1)} s with {workers} {workers === 1 ? "worker" : "workers"}
        {resumed}
      </span>{" "}
      <code title={hash}>sha-256 {hash.slice(0, 12)}…</code>
    </>
  );
}
