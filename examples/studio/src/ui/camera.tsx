import { useEffect, useRef, useState } from "preact/hooks";
import type { Picture } from "../protocol.ts";
import { problem } from "../state.ts";

const size = 264;

/** The middle of what the camera sees, picture by picture: the next one is taken when the last was answered. */
export function Camera({ onFrame }: { onFrame: (picture: Picture) => Promise<void> }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [on, setOn] = useState(false);
  useEffect(() => {
    if (!on) return;
    let live = true;
    let stream: MediaStream | undefined;
    const stop = () => {
      live = false;
      for (const track of stream?.getTracks() ?? []) track.stop();
    };
    const watch = async () => {
      const constraints = { video: { width: { ideal: 320 }, height: { ideal: 320 }, facingMode: "environment" }, audio: false };
      stream = await navigator.mediaDevices.getUserMedia(constraints);
      if (!live) return stop();
      const video = document.createElement("video");
      video.muted = true;
      video.playsInline = true;
      video.srcObject = stream;
      await video.play();
      const context = canvas.current!.getContext("2d", { willReadFrequently: true })!;
      while (live) {
        const side = Math.min(video.videoWidth, video.videoHeight);
        context.drawImage(video, (video.videoWidth - side) / 2, (video.videoHeight - side) / 2, side, side, 0, 0, size, size);
        await onFrame(context.getImageData(0, 0, size, size));
        await new Promise(requestAnimationFrame);
      }
    };
    watch().catch((error: unknown) => {
      stop();
      setOn(false);
      problem.value = `Camera: ${error instanceof Error ? error.message : error}`;
    });
    return stop;
  }, [on]);
  return (
    <>
      <canvas
        ref={canvas}
        class="bitmap"
        width={size}
        height={size}
        role="img"
        aria-label={on ? "What the camera sees" : "The camera is off"}
      />
      <button type="button" class={`stage-button ${on ? "" : "middle"}`} onClick={() => setOn(!on)}>
        {on ? "Stop" : "Start the camera"}
      </button>
    </>
  );
}
