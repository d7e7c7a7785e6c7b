import { useEffect, useRef } from "preact/hooks";
import type { Picture } from "../protocol.ts";

const size = 264;
const pen = 20;
/** Of the pen under the arrow keys, in pixels. */
const step = 12;

/** White on black, as digits and clothes are stored. By pointer, or with the arrow keys and the space bar. */
export function Drawing({ onPicture }: { onPicture: (picture: Picture) => Promise<void> }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const cursor = useRef<HTMLSpanElement>(null);
  const state = useRef({ x: size / 2, y: size / 2, down: false, asking: false, changed: false });
  const context = () => canvas.current!.getContext("2d", { willReadFrequently: true })!;

  const ask = async () => {
    const now = state.current;
    now.changed = true;
    if (now.asking) return;
    now.asking = true;
    while (now.changed && canvas.current) {
      now.changed = false;
      await onPicture(context().getImageData(0, 0, size, size));
    }
    now.asking = false;
  };
  const clear = () => {
    context().fillStyle = "#000";
    context().fillRect(0, 0, size, size);
    void ask();
  };
  useEffect(clear, []);

  const moveTo = (x: number, y: number) => {
    const now = state.current;
    if (now.down) {
      const to = context();
      to.strokeStyle = "#fff";
      to.lineWidth = pen;
      to.lineCap = "round";
      to.beginPath();
      to.moveTo(now.x, now.y);
      to.lineTo(x, y);
      to.stroke();
      void ask();
    }
    [now.x, now.y] = [x, y];
    if (cursor.current) cursor.current.style.transform = `translate(${(x / size) * 100}cqw, ${(y / size) * 100}cqw)`;
  };
  const place = ({ offsetX, offsetY }: PointerEvent): [number, number] => {
    const scale = size / canvas.current!.clientWidth;
    return [offsetX * scale, offsetY * scale];
  };
  const onPointerDown = (event: PointerEvent) => {
    canvas.current!.setPointerCapture(event.pointerId);
    state.current.down = false;
    moveTo(...place(event));
    state.current.down = true;
    moveTo(...place(event));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const now = state.current;
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if (event.key === " ") now.down = !now.down;
    else if (dx === 0 && dy === 0) return;
    event.preventDefault();
    moveTo(Math.max(0, Math.min(size, now.x + dx! * step)), Math.max(0, Math.min(size, now.y + dy! * step)));
  };
  return (
    <>
      {/* biome-ignore lint/a11y/noInteractiveElementToNoninteractiveRole: there is no other role for a drawing pad with keys of its own */}
      <canvas
        ref={canvas}
        class="bitmap pad"
        width={size}
        height={size}
        tabIndex={0}
        role="application"
        aria-label="Drawing: arrow keys move the pen, space puts it down and lifts it"
        onPointerDown={onPointerDown}
        onPointerMove={(event) => state.current.down && event.buttons && moveTo(...place(event))}
        onPointerUp={() => (state.current.down = false)}
        onKeyDown={onKeyDown}
      />
      <span class="cursor" ref={cursor} aria-hidden="true" />
      <button type="button" class="stage-button" onClick={clear}>
        Clear
      </button>
    </>
  );
}
