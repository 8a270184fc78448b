// Special times as flags above the plot. Those too near to each other share one flag.

import { span } from "../shared/time.ts";
import type { ChartEvent, Range } from "./types.ts";

interface Props {
  events: readonly ChartEvent[];
  view: Range;
  /** Where the plot begins and how wide it is, in pixels. */
  left: number;
  width: number;
  zone: string;
}

/** Pixels that a flag's name may take. */
const ROOM = 96;

export function Flags({ events, view, left, width, zone }: Props) {
  const x = (time: number): number => left + ((Math.max(time, view.from) - view.from) / (view.to - view.from)) * width;
  const shown = events
    .filter(({ from, to }) => to > view.from && from < view.to)
    .toSorted((one, other) => one.from - other.from);
  const groups: { at: number; events: ChartEvent[] }[] = [];
  for (const event of shown) {
    const at = Math.min(x(event.from), left + width - ROOM);
    const before = groups[groups.length - 1];
    if (before && at - before.at < ROOM) before.events.push(event);
    else groups.push({ at: Math.max(left, at), events: [event] });
  }
  const words = ({ name, kind, from, to }: ChartEvent): string => `${name} (${kind}), ${span(from, to, zone)}`;
  return (
    <ul class="chart-flags" aria-label="Special times">
      {width > 0 &&
        groups.map(({ at, events: [first, ...others] }) => first && (
          <li key={`${first.name}${first.from}`} style={{ left: `${at}px` }} title={[first, ...others].map(words).join("\n")}>
            <span aria-hidden="true">⚑ {first.name}{others.length > 0 && ` +${others.length}`}</span>
            <span class="hidden">{[first, ...others].map(words).join("; ")}</span>
          </li>
        ))}
    </ul>
  );
}
