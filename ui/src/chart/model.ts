// The arithmetic of the chart, without a canvas.
import type { GhostPoint, Point, Range, SeriesData } from "./types.ts";

/** From this severity on a window counts as anomalous: below it, deviations are part of normal life. */
export const ANOMALOUS = 50;

/** The farthest that two neighbouring points can be apart when nothing is missing between them. */
function reachOf({ windowMillis, windowsPerPoint }: SeriesData): number {
  // Of every few windows at least one is kept, the first of one few and the last of the next at worst. Calendar days
  // differ by an hour when clocks change, which is no hole.
  return windowMillis * (windowsPerPoint === 1 ? 1.6 : 2 * windowsPerPoint);
}

/** The span that a point stands for: its window, or up to half way to its neighbours where windows were left out. */
export function extentOf(data: SeriesData, index: number): Range {
  const { points, windowMillis } = data;
  const time = (points[index] as Point).time;
  const reach = reachOf(data);
  const before = points[index - 1];
  const after = points[index + 1];
  const border = (early: number, late: number): number => (early + late + windowMillis) / 2;
  return {
    from: before && time - before.time <= reach ? border(before.time, time) : time,
    to: after && after.time - time <= reach ? border(time, after.time) : time + windowMillis,
  };
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

/** Index of the point whose window is nearest to a time; -1 without points. */
export function indexAt({ points, windowMillis }: SeriesData, time: number): number {
  const after = lowerBound(points, time - windowMillis / 2);
  const distance = (index: number): number => {
    const point = points[index];
    return point ? Math.abs(point.time + windowMillis / 2 - time) : Infinity;
  };
  return distance(after - 1) <= distance(after) ? after - 1 : Math.min(after, points.length - 1);
}

/** Spans without data between the first and the last point: gaps as stored, and windows that are not there at all. */
export function gapsOf(data: SeriesData): Range[] {
  const gaps: Range[] = [];
  const add = (from: number, to: number): void => {
    const before = gaps[gaps.length - 1];
    if (before && from <= before.to) before.to = to;
    else gaps.push({ from, to });
  };
  data.points.forEach((point, index) => {
    if (point.value === null) {
      const { from, to } = extentOf(data, index);
      add(from, to);
    }
    const next = data.points[index + 1];
    if (next && next.time - point.time > reachOf(data)) add(point.time + data.windowMillis, next.time);
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
  return first && last ? { from: first.time, to: last.time + data.windowMillis } : null;
}

/** The columns that uPlot draws: x (the middle of the windows), lower, upper, expected, ghost, value. */
export function columnsOf(data: SeriesData, ghost: readonly GhostPoint[] | null): (number | null)[][] {
  const { points } = data;
  const half = data.windowMillis / 2;
  type Column = (number | null)[];
  const xs: Column = [], lower: Column = [], upper: Column = [], expected: Column = [];
  const ghosts: Column = [], value: Column = [];
  // Where windows were left out, other ones were left out of the week before.
  const near = half * data.windowsPerPoint;
  let at = 0;
  for (const point of points) {
    xs.push(point.time + half);
    lower.push(point.lower);
    upper.push(point.upper);
    expected.push(point.expected);
    value.push(point.value);
    if (ghost === null) {
      ghosts.push(null);
      continue;
    }
    while (at < ghost.length && (ghost[at] as GhostPoint).time < point.time - near) at += 1;
    const candidate = ghost[at];
    ghosts.push(candidate && candidate.time <= point.time + near ? candidate.value : null);
  }
  return [xs, lower, upper, expected, ghosts, value];
}

/** How far the band may widen the y axis beyond the lines, as a share of their height or of half their level: a very wide
 *  band (a first sale) would flatten them. */
const BAND_SHARE = 0.7;

/** The range of the y axis over what is in view: from zero where that does not flatten the line. */
export function heightOf(data: SeriesData, view: Range, ghost: readonly GhostPoint[] | null): [number, number] {
  const [first, last] = indicesIn(data.points, view);
  const lines = new Extent();
  const band = new Extent();
  for (let index = first; index < last; index += 1) {
    const point = data.points[index] as Point;
    lines.see(point.value);
    lines.see(point.expected);
    band.see(point.lower);
    band.see(point.upper);
  }
  if (ghost) for (const { time, value } of ghost) if (time >= view.from && time < view.to) lines.see(value);
  if (lines.min > lines.max) return [0, 1];
  const room = Math.max(lines.max - lines.min, Math.abs(lines.max) / 2) * BAND_SHARE;
  const min = Math.max(Math.min(lines.min, band.min), lines.min - room);
  const max = Math.min(Math.max(lines.max, band.max), lines.max + room);
  const span = max - min || Math.abs(max) || 1;
  const isNearZero = lines.min >= 0 && min < span * 1.5;
  return [isNearZero ? 0 : min - span * 0.06, max + span * 0.08];
}

/** The smallest and the largest of what was seen. */
class Extent {
  min = Infinity;
  max = -Infinity;

  see(value: number | null): void {
    if (value === null) return;
    if (value < this.min) this.min = value;
    if (value > this.max) this.max = value;
  }
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
  const first = data.points[indexAt(data, Math.min(range.from, range.to))];
  const last = data.points[indexAt(data, Math.max(range.from, range.to))];
  if (!first || !last) return range;
  return { from: first.time, to: last.time + data.windowMillis };
}
