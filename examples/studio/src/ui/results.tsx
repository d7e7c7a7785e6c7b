import type { Product } from "../protocol.ts";
import { bench, download, outcome } from "../state.ts";
import { bytes, counted, decibels, percent } from "./format.ts";

interface Tile {
  readonly title: string;
  readonly value: string | undefined;
  readonly beside: string;
}

/** What became of the network, in figures and files. */
export function Results() {
  const done = outcome.value;
  return (
    <div class="results">
      <dl class="tiles">
        {tiles().map(({ title, value, beside }) => (
          <div key={title} class={value === undefined ? "empty" : ""}>
            <dt>{title}</dt>
            <dd>
              <b>{value ?? "–"}</b>
              <span>{beside}</span>
            </dd>
          </div>
        ))}
      </dl>
      <div class="downloads">
        {downloads.map(({ product, text, says }) => (
          <button
            key={product}
            type="button"
            disabled={!done}
            title={says}
            aria-label={`Download ${text}`}
            onClick={() => download(product)}
          >
            <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
              <path d="M8 2v8m-3.2-3L8 10.2 11.2 7M3 13.5h10" />
            </svg>
            {text}
          </button>
        ))}
      </div>
    </div>
  );
}

const downloads: readonly { readonly product: Product; readonly text: string; readonly says: string }[] = [
  { product: "plan", text: "Program, .halftone", says: "The integer program, for halftone/runtime" },
  { product: "onnx", text: "QDQ model, .onnx", says: "For ONNX Runtime and its like" },
  { product: "report", text: "Report, .html", says: "One HTML page with figures and pictures" },
];

function tiles(): readonly Tile[] {
  const done = outcome.value;
  const evaluation = done?.evaluation;
  const floatBytes = bench.value?.model.bytes;
  const on = done ? counted(done.evaluation.samples, `${done.heldBack ? "test" : "calibration"} image`) : "\u00a0";
  const smaller = done && floatBytes ? `float ${bytes(floatBytes)}, ${(floatBytes / done.planBytes).toFixed(1)}×` : "\u00a0";
  return [
    {
      title: "Top-1",
      value: evaluation?.top1 === undefined ? done && "no labels" : percent(evaluation.top1),
      beside: evaluation?.against ? `float ${percent(evaluation.against.top1)}` : "\u00a0",
    },
    { title: "Same answers as float", value: evaluation?.agreement === undefined ? undefined : percent(evaluation.agreement), beside: on },
    {
      title: "Logits",
      value: evaluation?.logitSqnrDb === undefined ? undefined : decibels(evaluation.logitSqnrDb),
      beside: done ? "signal to noise" : "\u00a0",
    },
    { title: "Size", value: done && bytes(done.planBytes), beside: smaller },
  ];
}
