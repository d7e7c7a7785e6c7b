import type { Preprocessing } from "halftone";
import { useEffect, useState } from "preact/hooks";
import { bench, prepareWith, problem, ready } from "../state.ts";

/** Fields as text, as they are typed. */
type Texts = Readonly<Record<"resize" | "crop" | "scale" | "mean" | "std", string>>;

const fields: readonly { readonly key: keyof Texts; readonly label: string; readonly hint: string }[] = [
  { key: "resize", label: "Resize", hint: "short side" },
  { key: "crop", label: "Crop", hint: "H, W" },
  { key: "scale", label: "Scale", hint: "1/255" },
  { key: "mean", label: "Mean", hint: "a channel each" },
  { key: "std", label: "Deviation", hint: "a channel each" },
];

const presets: readonly { readonly name: string; readonly mean: string; readonly std: string }[] = [
  { name: "0 … 1", mean: "0", std: "1" },
  { name: "−1 … 1", mean: "0.5", std: "0.5" },
  { name: "ImageNet", mean: "0.485, 0.456, 0.406", std: "0.229, 0.224, 0.225" },
];

export function Preparation() {
  const current = bench.value?.preprocessing;
  const [texts, setTexts] = useState<Texts>(textsOf(current));
  useEffect(() => setTexts(textsOf(current)), [current]);
  const apply = (event: Event) => {
    event.preventDefault();
    const parsed = parse(texts);
    if (typeof parsed === "string") problem.value = parsed;
    else prepareWith(parsed);
  };
  return (
    <details class="more">
      <summary>
        Preprocessing <span class="formula">x = (v · scale − mean) / deviation</span>
      </summary>
      <form onSubmit={apply}>
        <div class="fields">
          {fields.map(({ key, label, hint }) => (
            <label key={key} class="field">
              <span>{label}</span>
              <input
                type="text"
                inputMode="decimal"
                autocomplete="off"
                placeholder={hint}
                value={texts[key]}
                onInput={(event) => setTexts({ ...texts, [key]: event.currentTarget.value })}
              />
            </label>
          ))}
        </div>
        <div class="row">
          {presets.map(({ name, mean, std }) => (
            <button key={name} type="button" class="quiet" onClick={() => setTexts({ ...texts, mean, std })}>
              {name}
            </button>
          ))}
          <button type="submit" disabled={!ready.value}>
            Apply
          </button>
        </div>
      </form>
    </details>
  );
}

function textsOf(preprocessing: Preprocessing | undefined): Texts {
  const { resize, crop, scale = 1 / 255, mean = [0], std = [1] } = preprocessing ?? {};
  return {
    resize: resize === undefined ? "" : typeof resize === "number" ? String(resize) : resize.join(", "),
    crop: crop?.join(", ") ?? "",
    scale: scale === 1 / 255 ? "1/255" : String(scale),
    mean: mean.join(", "),
    std: std.join(", "),
  };
}

/** The numbers, or what is wrong with them. */
function parse(texts: Texts): Preprocessing | string {
  const lists = Object.fromEntries(
    Object.entries(texts).map(([key, text]) => [
      key,
      text
        .split(",")
        .map((part) => part.trim())
        .filter((part) => part !== "")
        .map(parseNumber),
    ]),
  ) as Record<keyof Texts, number[]>;
  const wrong = fields.find(({ key }) => lists[key].some((value) => !Number.isFinite(value)));
  if (wrong) return `${wrong.label}: found '${texts[wrong.key]}', expected numbers with commas between them.`;
  const { resize, crop, scale, mean, std } = lists;
  return {
    resize: resize.length === 2 ? [resize[0]!, resize[1]!] : resize[0],
    crop: crop.length > 0 ? [crop[0]!, crop[1] ?? crop[0]!] : undefined,
    scale: scale[0] ?? 1 / 255,
    mean: mean.length > 0 ? mean : [0],
    std: std.length > 0 ? std : [1],
  };
}

/** A number, or a quotient such as 1/255. */
function parseNumber(text: string): number {
  const [top, bottom] = text.split("/").map(Number);
  return bottom === undefined ? top! : top! / bottom;
}
