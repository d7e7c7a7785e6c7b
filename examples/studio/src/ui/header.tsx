/** Rows of dots that grow to the right, as a printer's ramp. */
const ramp = { columns: 46, rows: 6, pitch: 11 } as const;

export function Header() {
  const { columns, rows, pitch } = ramp;
  const dots = Array.from({ length: columns * rows }, (_, i) => {
    const [x, y] = [i % columns, Math.floor(i / columns)];
    return <circle key={i} cx={(x + (y % 2) / 2 + 0.5) * pitch} cy={(y + 0.5) * pitch * 0.9} r={0.3 + 4.6 * (x / columns) ** 1.6} />;
  });
  return (
    <header class="top">
      <svg
        class="ramp"
        viewBox={`0 0 ${(columns + 0.5) * pitch} ${rows * pitch * 0.9}`}
        preserveAspectRatio="xMaxYMid slice"
        aria-hidden="true"
      >
        {dots}
      </svg>
      <div class="title">
        <h1>
          Halftone <span>Studio</span>
        </h1>
        <p>Turn a float network into an integer program. On this machine: nothing you drop here leaves the page.</p>
      </div>
    </header>
  );
}
