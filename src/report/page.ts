// The frame of a report: one file, no script, no address outside of it.

export const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

const style = `
:root { color: #1d2733; background: #fbfaf7; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 980px; margin: 2.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; font-weight: 650; margin: 0 0 1.2rem; }
h2 { font-size: 1.1rem; margin: 2.4rem 0 .3rem; }
p { margin: 0 0 .8rem; color: #4b5a66; }
.tiles { display: flex; flex-wrap: wrap; gap: .7rem; }
.tiles div { background: #fff; border: 1px solid #e3e0d8; border-radius: 6px; padding: .5rem .9rem; }
.tiles b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.tiles span { color: #4b5a66; font-size: .85rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, 222px); gap: .6rem; }
figure { margin: 0; }
figcaption { font-size: .8rem; color: #4b5a66; overflow-wrap: anywhere; }
.sample { display: inline-block; vertical-align: top; width: 146px; margin: 0 .8rem .8rem 0; padding: .5rem; background: #fff; border: 1px solid #e3e0d8; border-radius: 6px; }
.sample.different { border-color: #c2571a; }
.sample img { width: 100%; image-rendering: pixelated; }
dl { display: grid; grid-template-columns: 3.4rem 1fr; margin: .3rem 0 0; } dd { margin: 0; color: #1d2733; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .15rem .9rem .15rem 0; border-bottom: 1px solid #ece9e1; white-space: nowrap; }
pre { background: #fff; border: 1px solid #e3e0d8; border-radius: 6px; padding: .8rem; overflow: auto; font-size: .8rem; }
svg { max-width: 100%; }
.scroll { overflow-x: auto; }`;

export function page(title: string, sections: readonly string[]): string {
  const head = `<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(title)}</title><style>${style}</style>`;
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
