import { useEffect, useState } from "preact/hooks";
import { announcement, drop, problem } from "../state.ts";
import { droppedFiles } from "./dropped.ts";
import { Files } from "./files.tsx";
import { Layers } from "./layers.tsx";
import { Header } from "./header.tsx";
import { Program } from "./program.tsx";
import { Recipe } from "./recipe.tsx";
import { Trial } from "./trial.tsx";

export function App() {
  const hovering = useWindowDrop();
  return (
    <>
      <Header />
      <main>
        <Program />
        <div class="setup">
          <Files />
          <Recipe />
        </div>
        <div class="findings">
          <Trial />
          <Layers />
        </div>
      </main>
      <footer>
        Halftone turns float networks into integer programs with the same bytes everywhere. This page made no request after it was loaded;
        you can go offline.
      </footer>
      <Problem />
      <p class="unseen" role="status">
        {announcement.value}
      </p>
      {hovering && <div class="veil">Drop a network, images, or both</div>}
    </>
  );
}

function Problem() {
  return (
    <div class="problem" role="alert" hidden={!problem.value}>
      <p>{problem.value}</p>
      <button type="button" class="quiet" onClick={() => (problem.value = undefined)}>
        Dismiss
      </button>
    </div>
  );
}

/** Files may be dropped anywhere; on the card of the test images they are test images. */
function useWindowDrop(): boolean {
  const [hovering, setHovering] = useState(false);
  useEffect(() => {
    const over = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      setHovering(true);
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) setHovering(false);
    };
    const dropped = async (event: DragEvent) => {
      setHovering(false);
      // Taken by what it fell on, which may already have left the page.
      if (event.defaultPrevented) return;
      event.preventDefault();
      const target = event.target instanceof Element ? event.target : undefined;
      if (!event.dataTransfer) return;
      const role = target?.closest("[data-role]")?.getAttribute("data-role") === "test" ? "test" : "calibration";
      await drop(await droppedFiles(event.dataTransfer), role);
    };
    addEventListener("dragover", over);
    addEventListener("dragleave", leave);
    addEventListener("drop", dropped);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", dropped);
    };
  }, []);
  return hovering;
}
