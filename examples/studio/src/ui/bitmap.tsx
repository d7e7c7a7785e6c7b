import { useLayoutEffect, useRef } from "preact/hooks";

/** A picture that fills a square, enlarged in whole pixels where it is small. @param label empty for what is named elsewhere */
export function Bitmap({ bitmap, label, size }: { bitmap: ImageBitmap | undefined; label: string; size: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    context.clearRect(0, 0, size, size);
    if (!bitmap) return;
    const scale = size / Math.max(bitmap.width, bitmap.height);
    const [width, height] = [bitmap.width * scale, bitmap.height * scale];
    context.imageSmoothingEnabled = scale < 1.5;
    context.drawImage(bitmap, (size - width) / 2, (size - height) / 2, width, height);
  }, [bitmap, size]);
  const named = label !== "";
  return (
    <canvas
      ref={canvas}
      class="bitmap"
      width={size}
      height={size}
      role={named ? "img" : undefined}
      aria-label={named ? label : undefined}
      aria-hidden={!named}
    />
  );
}
