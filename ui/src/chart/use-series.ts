// The observations behind a chart: a little more than what is in view, so that a pan finds them there, and put
// together by the server when there are more windows than anybody can see.

import { useEffect, useMemo, useRef } from "preact/hooks";

import type { ApiError } from "../shared/api.ts";
import { useGet } from "../shared/load.ts";
import { seriesData } from "../shared/points.ts";
import { DAY, fromWallClock, rfc3339, toWallClock } from "../shared/time.ts";
import type { Observations, Slice } from "../shared/types.ts";
import { sliceQuery } from "../shared/words.ts";
import type { GhostPoint, Range, SeriesData } from "./types.ts";

/** Windows in view up to which all of them are fetched. */
const EVERY_WINDOW_MAX = 1_500;
/** Points that the server makes of more, for each pixel of the page; half of them lie outside of the view. */
const POINTS_PER_PIXEL = 1.5;
const POINTS_MIN = 600;
const POINTS_MAX = 10_000;
const WEEK = 7 * DAY;

export interface Wanted {
  monitor: string;
  measure: string;
  slice: Slice;
  windowMillis: number;
  view: Range;
  /** End of the newest closed window, as far as it is to be shown: when it changes, the end of the series is asked for
   *  again. */
  newest: number;
  /** Whether the week before is wanted too. */
  ghost: boolean;
}

export interface Series {
  data: SeriesData | null;
  ghost: readonly GhostPoint[] | null;
  error: ApiError | undefined;
  /** Since when what is shown could not be renewed. */
  staleSince: number | undefined;
  reload: () => void;
}

/** The series of a view; while the next part comes, the last stays. */
export function useSeries(wanted: Wanted | null): Series {
  const span = wanted && around(wanted.view);
  const now = useGet<Observations>(...request(wanted, span));
  const before = span && wanted?.ghost ? { from: span.from - WEEK, to: span.to - WEEK } : null;
  const past = useGet<Observations>(...request(before ? wanted : null, before));
  const name = wanted ? `${wanted.monitor} ${wanted.measure} ${JSON.stringify(wanted.slice)}` : "";
  const kept = useRef<{ name: string; data: Observations | undefined }>({ name, data: undefined });
  if (now.data) kept.current = { name, data: now.data };
  const asked = useRef(wanted?.newest);
  useEffect(() => {
    if (asked.current !== wanted?.newest && span && wanted && span.to > wanted.newest) now.reload();
    asked.current = wanted?.newest;
  }, [wanted?.newest]);
  const held = kept.current.name === name ? kept.current.data : undefined;
  const data = useMemo(() => (held ? seriesData(held) : null), [held]);
  const ghost = useMemo(() => {
    if (!past.data) return null;
    const points = seriesData(past.data).points;
    const move = weekLater(points, past.data.zone);
    return points.map(({ time, value }) => ({ time: move(time), value }));
  }, [past.data]);
  return { data, ghost: wanted?.ghost ? ghost : null, error: now.error ?? past.error, staleSince: now.staleSince, reload: now.reload };
}

/** Half a view more on each side, on a grid of half views, so that small pans ask nothing. */
function around({ from, to }: Range): Range {
  const grid = Math.max(1, Math.round((to - from) / 2));
  return { from: (Math.floor(from / grid) - 1) * grid, to: (Math.ceil(to / grid) + 1) * grid };
}

function request(wanted: Wanted | null, span: Range | null): [string | null, Record<string, string | number>] {
  if (!wanted || !span) return [null, {}];
  const { monitor, measure, slice, windowMillis, view } = wanted;
  const windows = (view.to - view.from) / windowMillis;
  const size: Record<string, number> = windows <= EVERY_WINDOW_MAX ? { limit: 10_000 } : { points: Math.min(POINTS_MAX, Math.max(POINTS_MIN, Math.round(innerWidth * POINTS_PER_PIXEL))) };
  const times = { from: rfc3339(span.from), to: rfc3339(span.to) };
  return [`monitors/${encodeURIComponent(monitor)}/observations`, { measure, ...sliceQuery(slice), ...times, ...size }];
}

/** The same wall clock a week later. Zones are asked for each point only when clocks change on the way. */
function weekLater(points: readonly { time: number }[], zone: string): (time: number) => number {
  const slow = (time: number): number =>
    fromWallClock(new Date(Date.parse(`${toWallClock(time, zone)}Z`) + WEEK).toISOString().slice(0, 16), zone);
  const shift = ({ time }: { time: number }): number => slow(time) - Math.floor(time / 60_000) * 60_000;
  const [first, last] = [points[0], points[points.length - 1]];
  if (!first || !last || shift(first) !== shift(last)) return slow;
  const same = shift(first);
  return (time) => time + same;
}
