import { effect, signal } from "@preact/signals";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { CodeHistogram } from "halftone/report";
import type { LayerCard } from "../protocol.ts";
import { outcome } from "../state.ts";
import { bytes, count, decibels } from "./format.ts";

const picked = signal(0);

/** A new program is looked at where it is worst. */
effect(() => {
  const layers = outcome.value?.layers ?? [];
  const least = layers.reduce((worst, layer) => ((layer.sqnrDb ?? Infinity) < (worst?.sqnrDb ?? Infinity) ? layer : worst), layers[0]);
  picked.value = least?.index ?? 0;
});

export function Layers() {
  const layers = outcome.value?.layers ?? [];
  const index = Math.min(picked.value, layers.length - 1);
  const layer = layers[index];
  return (
    <section class="card" aria-labelledby="layers-title">
      <h2 id="layers-title">
        Along the network <span class="aside">dots as large as their weights</span>
      </h2>
      <Chart layers={layers} index={index} />
      <input
        class="along"
        type="range"
        min={0}
        max={Math.max(0, layers.length - 1)}
        value={Math.max(0, index)}
        disabled={layers.length === 0}
        aria-label="Step of the program"
        aria-valuetext={layer ? `Step ${index}, ${layer.name}, ${sqnrOf(layer)}` : "none"}
        onInput={(event) => (picked.value = event.currentTarget.valueAsNumber)}
      />
      <div class="layer">
        <div>
          <h3 class="file" title={layer?.name}>
            {layer ? layer.name || layer.kernel : "A step of the program"}
          </h3>
          <dl class="pairs">
            {facts(layer).map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        </div>
        <Codes codes={layer?.codes} elements={layer?.codes?.counts.reduce((sum, n) => sum + n, 0)} waiting={layer === undefined} />
      </div>
      <Table layers={layers} />
    </section>
  );
}

const sqnrOf = ({ sqnrDb }: LayerCard): string => (sqnrDb === undefined ? "–" : decibels(sqnrDb));

function facts(layer: LayerCard | undefined): readonly (readonly [string, string])[] {
  return [
    ["Kernel", layer?.kernel ?? "–"],
    ["Output", layer ? `${layer.dims.join("×")} ${layer.type}` : "–"],
    ["Signal to noise", layer ? sqnrOf(layer) : "–"],
    ["Constants", layer ? bytes(layer.bytes) : "–"],
    ["Accumulator", layer?.accumulator ? layer.accumulator.map(count).join(" … ") : "–"],
  ];
}

/** Width of an element in pixels, so that text in a picture keeps its size. */
function useWidth() {
  const element = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(640);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.round(entry!.contentRect.width)));
    observer.observe(element.current!);
    return () => observer.disconnect();
  }, []);
  return [element, width] as const;
}

const height = 220;
const margin = { left: 34, right: 14, top: 28, bottom: 10 };

function Chart({ layers, index }: { layers: readonly LayerCard[]; index: number }) {
  const [element, width] = useWidth();
  const finite = layers.flatMap(({ sqnrDb }) => (sqnrDb !== undefined && Number.isFinite(sqnrDb) ? [sqnrDb] : []));
  const tick = Math.max(...finite, 1) > 60 ? 20 : 10;
  const top = Math.max(4, Math.ceil(Math.max(...finite, 0) / tick)) * tick;
  const most = Math.max(...layers.map((layer) => layer.bytes), 1);
  const x = (i: number) => margin.left + ((i + 0.5) / Math.max(1, layers.length)) * (width - margin.left - margin.right);
  const y = (value: number) => height - margin.bottom - (Math.max(0, Math.min(value, top)) / top) * (height - margin.top - margin.bottom);
  const radius = (layer: LayerCard) => 2.5 + 7.5 * Math.sqrt(layer.bytes / most);
  const pick = (event: MouseEvent) => {
    const at = (event.offsetX - margin.left) / (width - margin.left - margin.right);
    picked.value = Math.max(0, Math.min(layers.length - 1, Math.floor(at * layers.length)));
  };
  return (
    <div class="chart" ref={element} style={{ height: `${height}px` }}>
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: the slider below does the same for keys */}
      <svg
        width={width}
        height={height}
        role="img"
        aria-label="Signal to noise of each step against the float network, in decibels"
        onClick={pick}
      >
        {Array.from({ length: top / tick + 1 }, (_, i) => i * tick).map((value) => (
          <g key={value}>
            <line class="grid" x1={margin.left} x2={width - margin.right} y1={y(value)} y2={y(value)} />
            <text x={margin.left - 8} y={y(value) + 4} text-anchor="end">
              {value}
            </text>
          </g>
        ))}
        <text x={margin.left - 8} y={10} text-anchor="end">
          dB
        </text>
        {layers.map((layer, i) =>
          layer.sqnrDb === undefined ? undefined : (
            <g key={i} class={i === index ? "picked" : ""}>
              <line class="stem" x1={x(i)} x2={x(i)} y1={y(0)} y2={y(layer.sqnrDb)} />
              <circle cx={x(i)} cy={y(layer.sqnrDb)} r={radius(layer)}>
                <title>{`${layer.name}: ${decibels(layer.sqnrDb)}`}</title>
              </circle>
            </g>
          ),
        )}
      </svg>
    </div>
  );
}

const codesHeight = 150;

function Codes({ codes, elements, waiting }: { codes: CodeHistogram | undefined; elements: number | undefined; waiting: boolean }) {
  const [element, width] = useWidth();
  const most = Math.max(...(codes?.counts ?? []), 1);
  const slot = width / (codes?.counts.length ?? 1);
  return (
    <figure class="codes">
      <div ref={element} style={{ height: `${codesHeight}px` }}>
        <svg width={width} height={codesHeight} role="img" aria-label={codes ? "How often each weight code occurs" : "No weights"}>
          {codes?.counts.map((n, i) => {
            const h = (n / most) * (codesHeight - 4);
            return (
              <rect
                key={i}
                x={i * slot + slot * 0.1}
                width={Math.max(0.5, slot * 0.8)}
                y={codesHeight - h}
                height={h}
                rx={Math.min(2, slot / 4)}
              />
            );
          })}
          <line class="grid" x1={0} x2={width} y1={codesHeight - 0.5} y2={codesHeight - 0.5} />
        </svg>
      </div>
      <div class="axis" aria-hidden="true">
        <span>{codes?.lo}</span>
        <span>{codes ? `codes of ${count(elements!)} weights` : waiting ? "weight codes" : "this step has no weights"}</span>
        <span>{codes?.hi}</span>
      </div>
    </figure>
  );
}

function Table({ layers }: { layers: readonly LayerCard[] }) {
  return (
    <details class="more">
      <summary>As a table</summary>
      <section class="scroll" aria-label="Every step of the program">
        <table>
          <thead>
            <tr>
              {["Step", "Kernel", "Output", "dB", "Bytes", "Nodes"].map((head) => (
                <th key={head} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {layers.map((layer) => (
              <tr key={layer.index}>
                <td>{layer.index}</td>
                <td>{layer.kernel}</td>
                <td>{layer.dims.join("×")}</td>
                <td>{layer.sqnrDb === undefined ? "–" : layer.sqnrDb.toFixed(1)}</td>
                <td>{count(layer.bytes)}</td>
                <td>{layer.name}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </details>
  );
}
