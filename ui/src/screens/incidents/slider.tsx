// The severity slider over a histogram of what it would let through.

import { useEffect, useRef, useState } from "preact/hooks";

import { band, severityWords, Shape } from "../../shared/severity.tsx";
import type { Histogram } from "../../shared/types.ts";
import { exact } from "../../shared/numbers.ts";

const SETTLE_MILLIS = 120;

export interface SliderProps {
  value: number;
  histogram: Histogram | undefined;
  /** Called while it is dragged, at most every so often, and when it is let go. */
  onChange: (value: number, dragging: boolean) => void;
}

export function Slider({ value, histogram, onChange }: SliderProps) {
  const [dragged, setDragged] = useState<number | null>(null);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const shown = dragged ?? value;
  const above = histogram?.bins.filter(({ from }) => from >= shown).reduce((sum, bin) => sum + bin.count, 0);
  const drag = (next: number) => {
    setDragged(next);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => onChange(next, true), SETTLE_MILLIS);
  };
  const drop = (next: number) => {
    clearTimeout(timer.current);
    setDragged(null);
    onChange(next, false);
  };
  return (
    <div class="slider">
      <Bars histogram={histogram} from={shown} />
      <input
        type="range"
        id="severity"
        min="0"
        max="100"
        value={shown}
        aria-label="Severity from"
        aria-valuetext={`${severityWords(shown)} and above`}
        onInput={(event) => drag(event.currentTarget.valueAsNumber)}
        onChange={(event) => drop(event.currentTarget.valueAsNumber)}
      />
      <label for="severity">
        Severity from <Shape of={band(shown)} /> <b>{shown}</b> {band(shown)}
        {above !== undefined && histogram && shown % 5 === 0 && (
          <span class="soft">
            {" "}
            {exact(above)} of {exact(histogram.total)}
          </span>
        )}
      </label>
    </div>
  );
}

/** How many incidents have each severity; what the slider leaves out is hollow. */
function Bars({ histogram, from }: { histogram: Histogram | undefined; from: number }) {
  const bins = histogram?.bins ?? [];
  // Square roots: one critical incident must be seen beside a hundred quiet ones.
  const most = Math.sqrt(Math.max(1, ...bins.map(({ count }) => count)));
  return (
    <svg class="bars" viewBox="0 0 100 28" preserveAspectRatio="none" aria-hidden="true">
      {bins.map((bin) => {
        const height = bin.count ? Math.max(2, (Math.sqrt(bin.count) / most) * 28) : 0;
        return (
          <rect
            class={bin.to <= from ? "left-out" : band(bin.from)}
            x={bin.from + 0.4}
            width={bin.to - bin.from - 0.8}
            y={28 - height}
            height={height}
          />
        );
      })}
      <line x1="0" x2="100" y1="27.75" y2="27.75" />
    </svg>
  );
}
