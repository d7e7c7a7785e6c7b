import { type Stage, stages, type Step } from "../protocol.ts";
import { steps } from "../state.ts";
import { count, duration } from "./format.ts";

const titles: Readonly<Record<Stage, string>> = {
  calibrate: "Ranges",
  reconstruct: "Weights",
  lower: "Lowering",
  evaluate: "Accuracy",
  compare: "Layers",
};

export function Progress() {
  return (
    <ol class="stages" aria-label="Progress">
      {stages.map((stage) => (
        <Line key={stage} title={titles[stage]} step={steps.value[stage]} />
      ))}
    </ol>
  );
}

function Line({ title, step }: { title: string; step: Step | undefined }) {
  const share = step ? (step.total ? step.done / step.total : 0) : 0;
  const state = !step ? "waiting" : share >= 1 ? "done" : "under-way";
  return (
    <li class={state}>
      <progress max={1} value={share} aria-label={title} />
      <span class="name">{title}</span>
      <span class="note">{step && share < 1 ? noteOf(step) : step ? `${step.seconds.toFixed(1)} s` : "\u00a0"}</span>
    </li>
  );
}

function noteOf({ done, total, secondsLeft, note }: Step): string {
  const amount = total !== undefined && total > 1 ? `${count(done)} of ${count(total)}` : "";
  const left = secondsLeft === undefined ? "" : `${duration(secondsLeft)} left`;
  return [note ?? amount, left].filter((part) => part !== "").join(" · ");
}
