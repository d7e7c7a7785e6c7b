import type { Answer, Opinion } from "../protocol.ts";
import { className } from "../state.ts";
import { milliseconds } from "./format.ts";

const shown = 5;

/** Both networks' most likely classes, side by side. */
export function Opinions({ answer, label }: { answer: Answer | undefined; label: number | undefined }) {
  const float = answer && softmax(answer.float.logits);
  const integer = answer?.integer && softmax(answer.integer.logits);
  const order = float
    ? Array.from(float.keys()).sort((a, b) => Math.max(float[b]!, integer?.[b] ?? 0) - Math.max(float[a]!, integer?.[a] ?? 0))
    : [];
  const rows = Array.from({ length: shown }, (_, i) => order[i]);
  return (
    <div class="opinions">
      <div class="who">
        <Who name="float" opinion={answer?.float} />
        <Who name="integer" opinion={answer?.integer} />
      </div>
      <ol>
        {rows.map((index, i) => (
          <li key={i}>
            <span class="class">{index === undefined ? "\u00a0" : className(index)}</span>
            <Bar kind="float" share={index === undefined ? undefined : float?.[index]} />
            <Bar kind="integer" share={index === undefined ? undefined : integer?.[index]} />
          </li>
        ))}
      </ol>
      <p class="verdict" aria-live="polite">
        {float ? verdict(largest(float), integer && largest(integer), label) : "\u00a0"}
      </p>
    </div>
  );
}

function Who({ name, opinion }: { name: "float" | "integer"; opinion: Opinion | undefined }) {
  return (
    <span class={name}>
      <i aria-hidden="true" />
      {name} <b>{opinion ? milliseconds(opinion.milliseconds) : "–"}</b>
    </span>
  );
}

function Bar({ kind, share }: { kind: "float" | "integer"; share: number | undefined }) {
  return (
    <span class={`bar ${kind}`}>
      <span class="trough">
        <span style={{ transform: `scaleX(${share ?? 0})` }} />
      </span>
      <span class="share">
        <span class="unseen">{kind} </span>
        {share === undefined ? "–" : `${(100 * share).toFixed(1)} %`}
      </span>
    </span>
  );
}

function verdict(float: number, integer: number | undefined, label: number | undefined): string {
  const truth = label === undefined || label < 0 ? "" : ` Its label is ${className(label)}.`;
  if (integer === undefined) return `The float network says ${className(float)}.${truth}`;
  if (integer === float) return `Both say ${className(float)}.${truth}`;
  return `Float says ${className(float)}, integer ${className(integer)}.${truth}`;
}

function largest(values: Float64Array): number {
  return values.reduce((best, value, i) => (value > values[best]! ? i : best), 0);
}

function softmax(logits: Float32Array): Float64Array {
  const top = logits.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const powers = Float64Array.from(logits, (value) => Math.exp(value - top));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}
