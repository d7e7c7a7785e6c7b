// What the page shows, and what its buttons do. Everything that takes time is done by the conductor.
import { batch, computed, signal } from "@preact/signals";
import { proxy, wrap } from "comlink";
import type { Preprocessing } from "halftone";
import type { Conductor } from "./conductor/conductor.ts";
import type { Answer, Bench, Choices, Outcome, Own, Product, Role, Stage, Step, TrialSample } from "./protocol.ts";

const conductor = wrap<Conductor>(new Worker(new URL("./conductor/conductor.ts", import.meta.url), { type: "module" }));

export const bench = signal<Bench | undefined>(undefined);
export const choices = signal<Choices | undefined>(undefined);
export const busy = signal<"opening" | "running" | "reading" | undefined>("opening");
export const steps = signal<Partial<Record<Stage, Step>>>({});
export const outcome = signal<Outcome | undefined>(undefined);
export const samples = signal<readonly TrialSample[]>([]);
export const problem = signal<string | undefined>(undefined);
/** Spoken by screen readers. */
export const announcement = signal("");
/** Counts programs and tables: whatever was answered before is no longer true. */
export const edition = signal(0);

export const running = computed(() => busy.value === "running");
export const ready = computed(() => busy.value === undefined);
export const className = (index: number): string => bench.value?.labels?.[index] ?? `class ${index}`;

const explain = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** One thing at a time; what goes wrong is told. */
async function during(state: "opening" | "running" | "reading", work: () => Promise<void>): Promise<void> {
  busy.value = state;
  problem.value = undefined;
  try {
    await work();
  } catch (error) {
    problem.value = explain(error);
  } finally {
    busy.value = undefined;
  }
}

async function show(next: Bench): Promise<void> {
  const toTry = await conductor.samples();
  batch(() => {
    bench.value = next;
    samples.value = toTry;
    outcome.value = undefined;
    steps.value = {};
    edition.value++;
  });
}

export async function openStudio(): Promise<void> {
  let unfinished = false;
  await during("opening", async () => {
    const opening = await conductor.open();
    choices.value = opening.choices;
    unfinished = opening.unfinished;
    await show(opening.bench);
  });
  if (unfinished) {
    announcement.value = "Continuing the run that was left unfinished.";
    await quantize();
  }
}

export async function drop(files: ReadonlyMap<string, Blob>, role: Role): Promise<void> {
  if (!ready.value || files.size === 0) return;
  await during("reading", async () => show(await conductor.drop(files, role)));
}

export async function prepareWith(preprocessing: Preprocessing): Promise<void> {
  await during("reading", async () => show(await conductor.prepare(preprocessing)));
}

export async function quantize(): Promise<void> {
  const chosen = choices.value;
  if (!ready.value || !chosen) return;
  await during("running", async () => {
    steps.value = {};
    announcement.value = "Quantizing.";
    const done = await conductor.quantize(
      chosen,
      proxy((step: Step) => {
        steps.value = { ...steps.value, [step.stage]: step };
      }),
    );
    batch(() => {
      if (!done) {
        steps.value = {};
        announcement.value = "Cancelled.";
        return;
      }
      outcome.value = done;
      samples.value = done.samples;
      edition.value++;
      const { agreement, samples: count } = done.evaluation;
      announcement.value = `Done. The integer program gives the float network's answer on ${agreement} percent of ${count} samples.`;
    });
  });
}

export const cancel = (): Promise<void> => conductor.cancel();

export const answer = (what: number | Own): Promise<Answer> => conductor.answer(what);

const fileNames: Readonly<Record<Product, readonly [ending: string, type: string]>> = {
  plan: [".halftone", "application/octet-stream"],
  onnx: [".quantized.onnx", "application/octet-stream"],
  report: [".report.html", "text/html"],
};

export async function download(product: Product): Promise<void> {
  try {
    const content = await conductor.write(product);
    const [ending, type] = fileNames[product];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content as BlobPart], { type }));
    link.download = `${bench.value!.model.name.replace(/\.onnx$/i, "")}${ending}`;
    link.click();
    // The browser has taken the bytes by then.
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    problem.value = explain(error);
  }
}
