// What the explorer shows, read from its address and written to it.

import type { Range } from "../../chart/types.ts";
import { DAY, HOUR, rfc3339 } from "../../shared/time.ts";
import type { Monitor, Slice } from "../../shared/types.ts";
import { sliceOf } from "../../shared/words.ts";

export interface Chosen {
  monitor: Monitor;
  measure: string;
  slice: Slice;
  /** Back from the newest window, or an absolute range. */
  span: string;
  range: Range | null;
  /** Last week as a ghost line. */
  week: boolean;
  /** The window that is explained. */
  at: number | null;
  /** The range that is being reported. */
  marked: Range | null;
}

/** Lengths to look back, by their name in the address. */
export const SPANS: [string, string, number][] = [
  ["6h", "6 h", 6 * HOUR],
  ["1d", "1 d", DAY],
  ["1w", "1 w", 7 * DAY],
  ["4w", "4 w", 28 * DAY],
  ["all", "All", Infinity],
];

export function read(query: URLSearchParams, monitors: Monitor[]): Chosen | null {
  const monitor = monitors.find(({ name }) => name === query.get("monitor")) ?? monitors[0];
  if (!monitor) return null;
  const measures = monitor.measures.map(({ name }) => name);
  const asked = query.get("measure") ?? "";
  const favourite = ["orders", "revenue"].find((name) => measures.includes(name));
  return {
    monitor,
    measure: measures.includes(asked) ? asked : (favourite ?? measures[0] ?? ""),
    slice: sliceOf(query),
    span: query.get("span") ?? "1d",
    range: range(query, "from", "to"),
    week: query.get("week") === "1",
    at: moment(query.get("at")),
    marked: range(query, "mark_from", "mark_to"),
  };
}

/** A range of the address; its ends are RFC 3339. */
export const ends = (prefix: string, found: Range | null): Record<string, string | undefined> => ({
  [`${prefix}from`]: found ? rfc3339(found.from) : undefined,
  [`${prefix}to`]: found ? rfc3339(found.to) : undefined,
});

function range(query: URLSearchParams, first: string, second: string): Range | null {
  const from = moment(query.get(first));
  const to = moment(query.get(second));
  return from !== null && to !== null && from < to ? { from, to } : null;
}

function moment(text: string | null): number | null {
  const millis = Date.parse(text ?? "");
  return Number.isNaN(millis) ? null : millis;
}
