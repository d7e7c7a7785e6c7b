import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Answer, Own } from "../protocol.ts";
import { answer, bench, className, edition, outcome, problem, samples } from "../state.ts";
import { Bitmap } from "./bitmap.tsx";
import { Camera } from "./camera.tsx";
import { Drawing } from "./drawing.tsx";
import { Opinions } from "./opinions.tsx";

const modes = [
  { name: "samples", title: "Samples" },
  { name: "picture", title: "Picture" },
  { name: "camera", title: "Camera" },
  { name: "draw", title: "Draw" },
] as const;
type Mode = (typeof modes)[number]["name"];

const mode = signal<Mode>("samples");
const inverted = signal(false);
const given = signal<Answer | undefined>(undefined);
const chosen = signal(0);
/** What was asked last and could be answered: asked again when there is a new program. */
let last: number | Own | undefined;
let asked = 0;
let complaint: string | undefined;

/** Of several questions only the last one's answer is shown. */
async function ask(what: number | Own): Promise<void> {
  const mine = ++asked;
  const before = last;
  last = what;
  try {
    const answered = await answer(what);
    if (mine !== asked) return;
    given.value = answered;
    if (problem.value === complaint) problem.value = undefined;
  } catch (error) {
    if (mine !== asked) return;
    last = before;
    problem.value = complaint = error instanceof Error ? error.message : String(error);
  }
}

const askOwn = (picture: Own["picture"]): Promise<void> => ask({ picture, invert: inverted.value });

function forget(): void {
  asked++;
  last = undefined;
  given.value = undefined;
}

export function Trial() {
  useEffect(() => {
    if (!bench.value) return;
    // A new program has other samples to show; a picture of the user's own stays.
    if (mode.value === "samples" || last === undefined) {
      mode.value = "samples";
      pickSample(samples.value[0]?.index ?? 0);
    } else void ask(last);
  }, [edition.value]);

  const pick = (next: Mode) => {
    mode.value = next;
    if (next === "samples") pickSample(samples.value[chosen.value]?.index ?? 0);
    else forget();
  };
  const own = mode.value !== "samples";
  return (
    <section class="card" aria-labelledby="trial-title" onDrop={own ? takeDrop : undefined}>
      <h2 id="trial-title">
        Try it <span class="aside">{own ? <Invert /> : differing()}</span>
      </h2>
      <div class="segments modes" role="radiogroup" aria-label="Where the picture comes from">
        <div class="track">
          {modes.map(({ name, title }) => (
            <label key={name}>
              <input class="unseen" type="radio" name="mode" value={name} checked={mode.value === name} onChange={() => pick(name)} />
              <span>{title}</span>
            </label>
          ))}
        </div>
      </div>
      <div class="trial">
        <div class="stage">
          {mode.value === "samples" && <Bitmap bitmap={given.value?.seen} label={sampleLabel()} size={264} />}
          {mode.value === "picture" && <PictureStage />}
          {mode.value === "camera" && <Camera onFrame={askOwn} />}
          {mode.value === "draw" && <Drawing onPicture={askOwn} />}
        </div>
        <Opinions answer={given.value} label={mode.value === "samples" ? samples.value[chosen.value]?.label : undefined} />
      </div>
      <Samples />
    </section>
  );
}

function pickSample(index: number): void {
  chosen.value = Math.max(
    0,
    samples.value.findIndex((sample) => sample.index === index),
  );
  void ask(index);
}

function differing(): string {
  const differ = samples.value.filter(({ float, integer }) => float !== integer).length;
  return outcome.value
    ? differ === 0
      ? "all of these agree"
      : `${differ} of these differ, first in the row`
    : "float only, until you quantize";
}

function sampleLabel(): string {
  const sample = samples.value[chosen.value];
  return sample && sample.label >= 0 ? `Sample labelled ${className(sample.label)}` : "Sample";
}

function Invert() {
  return (
    <label class="tick">
      <input
        type="checkbox"
        checked={inverted.value}
        onChange={(event) => {
          inverted.value = event.currentTarget.checked;
          if (typeof last === "object") void ask({ ...last, invert: inverted.value });
        }}
      />
      <span>Invert</span>
    </label>
  );
}

function takeDrop(event: DragEvent): void {
  const file = [...(event.dataTransfer?.files ?? [])].find(({ type }) => type.startsWith("image/"));
  if (!file) return;
  event.preventDefault();
  mode.value = "picture";
  void askOwn(file);
}

function PictureStage() {
  const seen = given.value?.seen;
  return (
    <>
      <Bitmap bitmap={seen} label={seen ? "Your picture, as the networks see it" : "No picture yet"} size={264} />
      <label class={`button stage-button ${seen ? "" : "middle"}`}>
        {seen ? "Another…" : "Choose or drop a picture…"}
        <input
          class="unseen"
          type="file"
          accept="image/*"
          aria-label="Choose a picture"
          onChange={({ currentTarget }) => {
            const file = currentTarget.files?.[0];
            currentTarget.value = "";
            if (file) void askOwn(file);
          }}
        />
      </label>
    </>
  );
}

/** Those that the two networks see differently come first and are marked. */
function Samples() {
  return (
    <ul class="samples" aria-label="Samples">
      {samples.value.map((sample, i) => {
        const differs = sample.float !== sample.integer;
        const name = sample.label >= 0 ? className(sample.label) : `sample ${sample.index}`;
        return (
          <li key={sample.index}>
            <button
              type="button"
              class={differs ? "differs" : ""}
              aria-pressed={mode.value === "samples" && i === chosen.value}
              aria-label={differs ? `${name}, answers differ` : name}
              onClick={() => {
                mode.value = "samples";
                pickSample(sample.index);
              }}
            >
              <Bitmap bitmap={sample.picture} label="" size={88} />
            </button>
          </li>
        );
      })}
    </ul>
  );
}
