// The colours of the theme, read for the canvas.

/** How a severity looks. */
export interface Tone {
  fill: string;
  /** Height of its foot mark: the shape that goes with the colour. */
  height: number;
}

export interface Palette {
  ink: string;
  soft: string;
  line: string;
  ribbon: string;
  expected: string;
  hatch: string;
  event: string;
  marked: string;
  ghost: string;
  severity: (severity: number) => Tone;
}

const BANDS: [number, string, number][] = [
  [90, "critical", 12],
  [80, "serious", 9],
  [70, "notable", 6],
  [50, "slight", 4],
  [0, "quiet", 2],
];

/** The theme as it is now. */
export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const tones = BANDS.map(([from, name, height]) => ({ from, tone: { fill: read(`${name}-fill`), height } }));
  const quiet: Tone = { fill: read("quiet-fill"), height: 2 };
  return {
    ink: read("ink"),
    soft: read("soft"),
    line: read("line"),
    ribbon: read("ribbon"),
    expected: read("soft"),
    hatch: read("hatch"),
    event: `color-mix(in srgb, ${read("soft")} 8%, transparent)`,
    marked: `color-mix(in srgb, ${read("accent")} 16%, transparent)`,
    ghost: read("edge"),
    severity: (severity) => tones.find(({ from }) => severity >= from)?.tone ?? quiet,
  };
}
