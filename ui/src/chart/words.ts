// A point of the chart in words, for the read-out and for those who hear it.

import { against, number, withUnit } from "../shared/numbers.ts";
import { severityWords } from "../shared/severity.tsx";
import { clock, day, dayClock } from "../shared/time.ts";
import { ANOMALOUS } from "./model.ts";
import type { Point, SeriesData } from "./types.ts";

const thousand = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });

/** A number beside the axis: `0`, `250`, `12K`, `0.05`. */
export const axisNumber = (value: number): string => (Math.abs(value) >= 10_000 ? thousand.format(value) : number(value, 4));

/** `Tue 24 Nov 14:05–14:10`. */
export function when(point: Point, data: SeriesData): string {
  const end = point.time + data.windowMillis;
  if (data.windowMillis >= 86_400_000) return day(point.time, data.zone);
  const same = day(point.time, data.zone) === day(end, data.zone);
  return `${dayClock(point.time, data.zone)}–${same ? clock(end, data.zone) : dayClock(end, data.zone)}`;
}

/** What came, what was expected, and how far apart they are. */
export function pointWords(point: Point, data: SeriesData, unit: string | null): { when: string; what: string } {
  return { when: when(point, data), what: what(point, unit) };
}

function what(point: Point, unit: string | null): string {
  if (point.value === null) return "no data";
  const parts = [withUnit(point.value, unit)];
  if (point.expected === null) parts.push("no expectation yet, still learning");
  else parts.push(`${against(point.value, point.expected)} (${number(point.expected)})`);
  if (point.lower !== null && point.upper !== null) parts.push(`band ${number(point.lower)} to ${number(point.upper)}`);
  if (point.severity !== null && point.severity >= ANOMALOUS) parts.push(`severity ${severityWords(point.severity)}`);
  if (point.silenced) parts.push("kept quiet by feedback");
  if (point.revised) parts.push(`revised by late records, judged as ${point.asClosed == null ? "a gap" : number(point.asClosed)}`);
  return parts.join(", ");
}
