// The arithmetic of the chart, without a canvas.
import type { GhostPoint, Point, Range, SeriesData } from "./types.ts";

/** From this severity on a window counts as anomalous: below it, deviations are part of normal life. */
export const ANOMALOUS = 50;

/** Width of one point. */
export function stepOf(data: SeriesData): number {
  return data.windowMillis * data.windowsPerPoint;
}

export function isAnomalous(point: Point): boolean {
  return point.severity !== null && point.severity >= ANOMALOUS;
}

/** Whether the value lies outside of the band. */
export function isOutside({ value, lower, upper }: Point): boolean {
  return value !== null && ((lower !== null && value < lower) || (upper !== null && value > upper));
}

/** Where the fill of an anomalous window ends: the edge of the band. When no window of its run left the band (only
 *  several windows together were unusual), it is what was expected. */
export function edgeOf(point: Point, leaves: boolean): number | null {
  const { value, lower, upper, expected } = point;
  if (value === null) return null;
  if (!leaves) return expected;
  if (lower !== null && value < lower) return lower;
  if (upper !== null && value > upper) return upper;
  return value;
}

/** The points of a span and one more on each side, so that lines reach the edges. */
export function indicesIn(points: readonly Point[], view: Range): [number, number] {
  const first = Math.max(0, lowerBound(points, view.from) - 1);
  const last = Math.min(points.length, lowerBound(points, view.to) + 1);
  return [first, last];
}

/** Index of the first point at or after a time. */
export function lowerBound(points: readonly { time: number }[], time: number): number {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((points[middle] as { time: number }).time < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the point whose windows hold a time, else the nearest; -1 without points. */
export function indexAt(data: SeriesData, time: number): number {
  const { points } = data;
  if (points.length === 0) return -1;
  const after = lowerBound(points, time + 1);
  return Math.max(0, Math.min(points.length - 1, after - 1));
}

/** Spans without data between the first and the last point: gaps as stored, and windows that are not there at all. */
export function gapsOf(data: SeriesData): Range[] {
  const step = stepOf(data);
  const gaps: Range[] = [];
  const add = (from: number, to: number): void => {
    const before = gaps[gaps.length - 1];
    if (before && from <= before.to) before.to = to;
    else gaps.push({ from, to });
  };
  data.points.forEach((point, index) => {
    if (point.value === null) add(point.time, point.time + step);
    const next = data.points[index + 1];
    // Calendar days differ by an hour when clocks change, so only a whole missing point is a hole.
    if (next && next.time - point.time > step * 1.6) add(point.time + step, next.time);
  });
  return gaps;
}

/** Spans in which the detector had no opinion yet. */
export function learningOf(data: SeriesData): Range | null {
  const { points } = data;
  const judged = points.findIndex((point) => point.expected !== null);
  const end = judged < 0 ? points.length : judged;
  const first = points[0];
  const last = points[end - 1];
  return first && last ? { from: first.time, to: last.time + stepOf(data) } : null;
}

/** The columns that uPlot draws: x (the middle of the windows), lower, upper, expected, ghost, low, high, value. */
export function columnsOf(data: SeriesData, ghost: readonly GhostPoint[] | null): (number | null)[][] {
  const { points } = data;
  const half = stepOf(data) / 2;
  type Column = (number | null)[];
  const xs: Column = [], lower: Column = [], upper: Column = [], expected: Column = [];
  const ghosts: Column = [], low: Column = [], high: Column = [], value: Column = [];
  let at = 0;
  for (const point of points) {
    xs.push(point.time + half);
    lower.push(point.lower);
    upper.push(point.upper);
    expected.push(point.expected);
    low.push(point.low ?? null);
    high.push(point.high ?? null);
    value.push(point.value);
    if (ghost === null) {
      ghosts.push(null);
      continue;
    }
    while (at < ghost.length && (ghost[at] as GhostPoint).time < point.time - half) at += 1;
    const candidate = ghost[at];
    ghosts.push(candidate && Math.abs(candidate.time - point.time) <= half ? candidate.value : null);
  }
  return [xs, lower, upper, expected, ghosts, low, high, value];
}

/** The range of the y axis over what is in view: from zero where that does not flatten the line. */
export function heightOf(data: SeriesData, view: Range, ghost: readonly GhostPoint[] | null): [number, number] {
  const [first, last] = indicesIn(data.points, view);
  let min = Infinity;
  let max = -Infinity;
  const see = (value: number | null | undefined): void => {
    if (value === null || value === undefined) return;
    if (value < min) min = value;
    if (value > max) max = value;
  };
  for (let index = first; index < last; index += 1) {
    const point = data.points[index] as Point;
    see(point.low);
    see(point.high);
    see(point.value);
    see(point.expected);
    see(point.lower);
    see(point.upper);
  }
  if (ghost) for (const point of ghost) if (point.time >= view.from && point.time < view.to) see(point.value);
  if (min > max) return [0, 1];
  const span = max - min || Math.abs(max) || 1;
  const bottom = min >= 0 && min < span * 1.5 ? 0 : min - span * 0.06;
  return [bottom, max + span * 0.08];
}

/** A view moved and cut so that it stays within its bounds. */
export function within(view: Range, bounds: Range | undefined): Range {
  if (!bounds) return view;
  const width = Math.min(view.to - view.from, bounds.to - bounds.from);
  const from = Math.max(bounds.from, Math.min(view.from, bounds.to - width));
  return { from, to: from + width };
}

/** A view around its middle, wider or narrower; never narrower than a few windows. */
export function zoomed(view: Range, factor: number, windowMillis: number, around = (view.from + view.to) / 2): Range {
  const width = Math.max((view.to - view.from) * factor, windowMillis * 6);
  const share = (around - view.from) / (view.to - view.from);
  const from = Math.round(around - width * share);
  return { from, to: Math.round(from + width) };
}

/** Whole windows that touch a range. */
export function wholeWindows(data: SeriesData, range: Range): Range {
  const step = stepOf(data);
  const first = data.points[indexAt(data, Math.min(range.from, range.to))];
  const last = data.points[indexAt(data, Math.max(range.from, range.to))];
  if (!first || !last) return range;
  return { from: first.time, to: last.time + step };
}
