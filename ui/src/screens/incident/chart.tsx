// The chart of an incident: its measure in its slice, with some time before. The view is in the address.

import { useMemo } from "preact/hooks";

import { SeriesChart } from "../../chart/series-chart.tsx";
import { useSeries } from "../../chart/use-series.ts";
import type { Range } from "../../chart/types.ts";
import { Failure } from "../../shared/parts.tsx";
import { setQuery } from "../../shared/router.ts";
import { DAY, HOUR, millis, rfc3339 } from "../../shared/time.ts";
import type { Incident, Monitor, Slice } from "../../shared/types.ts";
import { place } from "../../shared/words.ts";
import { explorerHref } from "./links.ts";

const SPANS: [string, number][] = [
  ["1h", HOUR],
  ["6h", 6 * HOUR],
  ["1d", DAY],
  ["1w", 7 * DAY],
];

export interface ChartProps {
  incident: Incident;
  monitor: Monitor;
  query: URLSearchParams;
}

export function IncidentChart({ incident, monitor, query }: ChartProps) {
  const measure = incident.measure ?? monitor.measures[0]?.name ?? "";
  const chosen = incident.slices.findIndex((_, index) => String(index) === query.get("slice"));
  const slice: Slice = incident.slices[Math.max(0, chosen)] ?? {};
  const view = useMemo(
    () => viewOf(incident, monitor, query),
    [incident.id, incident.until, incident.state, monitor.closed_through, query.get("span"), query.get("from"), query.get("to")],
  );
  const windowMillis = monitor.interval_seconds * 1000;
  const series = useSeries({ monitor: monitor.name, measure, slice, windowMillis, view, newest: millis(monitor.closed_through ?? 0), ghost: false });
  const unit = monitor.measures.find(({ name }) => name === measure)?.unit ?? null;
  const label = `${measure}, ${place(slice, "everything")}`;
  const span = query.get("from") ? "" : (query.get("span") ?? "");
  return (
    <section class="series" aria-label="Chart">
      <div class="series-head">
        <h2>
          {label}
          {unit && <span class="soft"> in {unit}</span>}
        </h2>
        {incident.slices.length > 1 && (
          <label>
            <span class="hidden">Slice</span>
            <select value={Math.max(0, chosen)} onChange={(event) => setQuery({ slice: event.currentTarget.value })}>
              {incident.slices.map((one, index) => (
                <option value={index}>{place(one)}</option>
              ))}
            </select>
          </label>
        )}
        <div class="spans" role="group" aria-label="Span of time">
          <button type="button" aria-pressed={span === "" && !query.get("from")} onClick={() => setQuery({ span: undefined, from: undefined, to: undefined })}>
            Incident
          </button>
          {SPANS.map(([word]) => (
            <button type="button" aria-pressed={span === word} onClick={() => setQuery({ span: word, from: undefined, to: undefined })}>
              {word}
            </button>
          ))}
        </div>
        <a href={explorerHref(incident, slice)}>Open in the explorer</a>
      </div>
      {series.error && !series.data && <Failure error={series.error} retry={series.reload} />}
      <SeriesChart
        data={series.data}
        label={label}
        unit={unit}
        view={view}
        compact
        onView={({ from, to }) => setQuery({ from: rfc3339(from), to: rfc3339(to), span: undefined }, { replace: true })}
      />
    </section>
  );
}

/** What the address chooses, else the incident with a good deal of what was before. */
function viewOf(incident: Incident, monitor: Monitor, query: URLSearchParams): Range {
  const [from, to] = [Date.parse(query.get("from") ?? ""), Date.parse(query.get("to") ?? "")];
  if (from < to) return { from, to };
  const opened = millis(incident.opened_at);
  const now = monitor.closed_through ? millis(monitor.closed_through) : millis(incident.until);
  const until = millis(incident.until);
  const windowMillis = monitor.interval_seconds * 1000;
  const length = until - opened;
  const after = Math.max(length * 0.5, 12 * windowMillis);
  const end = incident.state === "open" ? Math.max(now, until) : Math.min(Math.max(now, until), until + after);
  const span = SPANS.find(([word]) => word === query.get("span"))?.[1];
  return { from: span ? end - span : opened - Math.max(2 * length, 36 * windowMillis), to: end };
}
