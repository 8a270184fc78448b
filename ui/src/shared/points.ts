// The server's observations as the chart wants them.

import type { SeriesData } from "../chart/types.ts";
import { fromWallClock } from "./time.ts";
import type { Observations } from "./types.ts";

/** One series over the span of an answer. */
export function seriesData(answer: Observations): SeriesData {
  return {
    points: answer.observations.map((one) => ({
      time: Date.parse(one.time),
      value: one.value,
      expected: one.expected,
      lower: one.lower,
      upper: one.upper,
      severity: one.severity,
      minor: one.minor,
      revised: one.revised ?? false,
      asClosed: one.as_closed ?? null,
      silenced: one.affected_by_feedback ?? false,
    })),
    events: answer.events.map(({ name, kind, from, to }) => ({
      name,
      kind,
      from: fromWallClock(from, answer.zone),
      to: fromWallClock(to, answer.zone),
    })),
    windowMillis: answer.interval_seconds * 1000,
    windowsPerPoint: answer.windows_per_point ?? 1,
    zone: answer.zone,
  };
}
