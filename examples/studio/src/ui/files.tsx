import type { ComponentChildren } from "preact";
import type { DataCard, Role } from "../protocol.ts";
import { bench, busy, drop, ready } from "../state.ts";
import { Bitmap } from "./bitmap.tsx";
import { chosenFiles } from "./dropped.ts";
import { bytes, count, counted } from "./format.ts";
import { Preparation } from "./preparation.tsx";

export function Files() {
  const table = bench.value;
  return (
    <section class="card" aria-labelledby="files-title" aria-busy={busy.value === "opening" || busy.value === "reading"}>
      <h2 id="files-title">Network and images</h2>
      <Slot
        title="Network"
        name={table?.model.name}
        into="calibration"
        choosers={<Chooser label="Choose a network" text="Choose…" accept=".onnx,.txt,.json" />}
      >
        {table && (
          <p class="facts">
            {bytes(table.model.bytes)} · {count(table.model.operators)} operators · {count(table.model.parameters)} parameters · input{" "}
            {table.model.input.join("×")}
          </p>
        )}
      </Slot>
      <Samples title="Calibration images" into="calibration" data={table?.calibration} missing="" />
      <Samples title="Test images" into="test" data={table?.test} missing="None: results are measured on the calibration images." />
      <Preparation />
      <Checked />
    </section>
  );
}

interface SlotProps {
  readonly title: string;
  readonly name: string | undefined;
  readonly into: Role;
  readonly choosers: ComponentChildren;
  readonly children: ComponentChildren;
}

function Slot({ title, name, into, choosers, children }: SlotProps) {
  return (
    <div class="slot" data-role={into}>
      <div class="slot-head">
        <h3>{title}</h3>
        <div class="choosers">{choosers}</div>
      </div>
      <p class="file" title={name}>
        {name ?? "\u00a0"}
      </p>
      {children}
    </div>
  );
}

function Samples({ title, into, data, missing }: { title: string; into: Role; data: DataCard | undefined; missing: string }) {
  const what = title.toLowerCase();
  const choosers = (
    <>
      <Chooser label={`Choose files of ${what}`} text="Files…" into={into} />
      <Chooser label={`Choose a folder of ${what}`} text="Folder…" into={into} folder />
    </>
  );
  return (
    <Slot title={title} name={data?.name ?? (bench.value ? "—" : undefined)} into={into} choosers={choosers}>
      <div class="strip" aria-hidden="true">
        {data?.pictures.map((picture, i) => (
          <Bitmap key={i} bitmap={picture} label="" size={72} />
        ))}
      </div>
      <p class="facts">
        {data ? `${counted(data.length, "sample")}, ${data.labelled ? "labelled" : "no labels"}` : bench.value ? missing : "\u00a0"}
      </p>
    </Slot>
  );
}

interface ChooserProps {
  readonly label: string;
  readonly text: string;
  readonly into?: Role;
  readonly accept?: string;
  readonly folder?: boolean;
}

/** A file input that looks like a button. */
function Chooser({ label, text, into = "calibration", accept, folder = false }: ChooserProps) {
  return (
    <label class="button quiet">
      {text}
      <input
        class="unseen"
        type="file"
        multiple
        aria-label={label}
        accept={accept}
        disabled={!ready.value}
        {...(folder ? { webkitdirectory: true } : {})}
        onChange={(event) => drop(chosenFiles(event.currentTarget), into)}
      />
    </label>
  );
}

/** Whether model, samples and preprocessing belong together, said before anything long begins. */
function Checked() {
  const check = bench.value?.check;
  if (!check) return <p class="check">Opening the example…</p>;
  if ("problem" in check) return <p class="check bad">{check.problem}</p>;
  const { samples, top1 } = check;
  return (
    <p class="check good">
      {top1 === undefined
        ? `The float network answers ${counted(samples, "sample")}.`
        : `The float network is right on ${Math.round((top1 * samples) / 100)} of ${counted(samples, "sample")}.`}
    </p>
  );
}
