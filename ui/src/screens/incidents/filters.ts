// What the address of the list chooses, and the questions to the server that follow from it.

import type { Query } from "../../shared/router.ts";
import { DAY, HOUR, rfc3339 } from "../../shared/time.ts";
import type { Slice } from "../../shared/types.ts";
import { sliceOf, sliceQuery } from "../../shared/words.ts";

export const SEVERITY_FROM = 70;

/** Spans to look back, by their word in the address. */
export const SPANS: Record<string, { title: string; millis: number }> = {
  "6h": { title: "last 6 hours", millis: 6 * HOUR },
  "24h": { title: "last 24 hours", millis: DAY },
  "7d": { title: "last 7 days", millis: 7 * DAY },
  "30d": { title: "last 30 days", millis: 30 * DAY },
};

export interface Filters {
  severity: number;
  state: "" | "open" | "closed" | "retracted";
  monitor: string;
  measure: string;
  kind: string;
  care: string;
  /** A word of `SPANS`; empty is all time. */
  last: string;
  /** Fixed times, as a link from elsewhere may choose. */
  from: string;
  to: string;
  slice: Slice;
  /** Words that the sentence must have. */
  find: string;
}

export function filtersOf(query: URLSearchParams): Filters {
  const severity = Number(query.get("severity") ?? SEVERITY_FROM);
  const state = query.get("state");
  const last = query.get("last") ?? "";
  return {
    severity: Number.isFinite(severity) ? Math.min(100, Math.max(0, Math.round(severity))) : SEVERITY_FROM,
    state: state === "open" || state === "closed" || state === "retracted" ? state : "",
    monitor: query.get("monitor") ?? "",
    measure: query.get("measure") ?? "",
    kind: query.get("kind") ?? "",
    care: query.get("care") ?? "",
    last: last in SPANS ? last : "",
    from: query.get("from") ?? "",
    to: query.get("to") ?? "",
    slice: sliceOf(query),
    find: query.get("find") ?? "",
  };
}

/** The parameters of the question. `now` is the shop's; it moves in steps, so that the question stays the same a while. */
export function questionOf(filters: Filters, now: number): Query {
  const span = SPANS[filters.last]?.millis;
  const step = 5 * 60_000;
  return {
    // Small and slow ones have a scale of their own, which the slider does not mean.
    min_severity: filters.kind === "" || filters.kind === "deviation" ? filters.severity : undefined,
    state: filters.state,
    monitor: filters.monitor,
    measure: filters.measure,
    kind: filters.kind,
    care: filters.care,
    from: span ? rfc3339(Math.floor((now - span) / step) * step) : filters.from,
    before: filters.to,
    ...sliceQuery(filters.slice),
  };
}

/** How many filters narrow the list, without the slider and the words. */
export const chosenOf = (filters: Filters): number =>
  [filters.state, filters.monitor, filters.measure, filters.kind, filters.care, filters.last || filters.from || filters.to].filter(
    Boolean,
  ).length + Object.keys(filters.slice).length;
