// The frame of a report: one file, no script, no address outside of it.

export const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

const style = `
:root { color-scheme: light dark; --ink: #1d2733; --quiet: #4b5a66; --paper: #fbfaf7; --card: #fff; --line: #e3e0d8; --accent: #0b6e99; --warm: #c2571a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ec; --quiet: #a3b0bb; --paper: #14181d; --card: #1c2229; --line: #323b45; --accent: #58b4dc; --warm: #ef9355; }
}
html { color: var(--ink); background: var(--paper); font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 980px; margin: 2.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; font-weight: 650; margin: 0 0 1.2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.4rem 0 .3rem; }
p { margin: 0 0 .8rem; color: var(--quiet); }
.tiles { display: flex; flex-wrap: wrap; gap: .7rem; }
.tiles div, .sample, pre { background: var(--card); border: 1px solid var(--line); border-radius: 6px; }
.tiles div { padding: .5rem .9rem; }
.tiles b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.tiles span, figcaption { color: var(--quiet); font-size: .85rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: .6rem; }
figure { margin: 0; }
figcaption { overflow-wrap: anywhere; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(146px, 1fr)); gap: .8rem; }
.sample { padding: .5rem; }
.sample.different { border-color: var(--warm); }
.sample img { width: 100%; image-rendering: pixelated; }
dl { display: grid; grid-template-columns: max-content 1fr; column-gap: .6rem; margin: .3rem 0 0; } dd { margin: 0; color: var(--ink); }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .15rem .9rem .15rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
pre { padding: .8rem; overflow: auto; font-size: .8rem; }
.scroll { overflow-x: auto; }
.wide { width: 100%; min-width: 720px; height: auto; }`;

export function page(title: string, sections: readonly string[]): string {
  const head = `<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escaped(title)}</title><style>${style}</style>`;
  return `<!doctype html>\n<html lang="en"><head>${head}</head><body><h1>${escaped(title)}</h1>${sections.join("\n")}</body></html>\n`;
}

export const section = (title: string, text: string, body: string): string =>
  `<section><h2>${escaped(title)}</h2>${text && `<p>${escaped(text)}</p>`}<div class="scroll">${body}</div></section>`;

export const tiles = (entries: readonly (readonly [string, string])[]): string =>
  `<div class="tiles">${entries.map(([label, value]) => `<div><b>${escaped(value)}</b><span>${escaped(label)}</span></div>`).join("")}</div>`;

export function tableHtml(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[], tag: string): string => row.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join("");
  return `<table><tr>${cells(header, "th")}</tr>${rows.map((row) => `<tr>${cells(row, "td")}</tr>`).join("")}</table>`;
}
