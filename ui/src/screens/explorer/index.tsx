// The explorer: one big chart of one series, and what can be asked of it.

import "./explorer.css";

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { isAnomalous, lowerBound, within, zoomed } from "../../chart/model.ts";
import { SeriesChart } from "../../chart/series-chart.tsx";
import type { Range, SeriesData } from "../../chart/types.ts";
import { useSeries } from "../../chart/use-series.ts";
import { against, count, withUnit } from "../../shared/numbers.ts";
import { useKeys } from "../../shared/keys.ts";
import { useGet } from "../../shared/load.ts";
import { CopyLink, Empty, Failure, Stale, Waiting } from "../../shared/parts.tsx";
import { setQuery } from "../../shared/router.ts";
import { useStatus } from "../../shared/status.tsx";
import { clock, DAY, day, duration, rfc3339 } from "../../shared/time.ts";
import type { Monitor, Observations } from "../../shared/types.ts";
import { place as placeWords, sentence, sliceQuery } from "../../shared/words.ts";
import type { ScreenProps } from "../../app/routes.ts";
import { type Chosen, ends, read, SPANS } from "./address.ts";
import { Marked } from "./missed.tsx";
import { Slices } from "./slices.tsx";
import { Why } from "./why.tsx";

/** The answer has mostly come by then. */
const REVEAL_MILLIS = 250;

export default function Explorer({ place }: ScreenProps) {
  const status = useStatus();
  if (!status.data) return status.error ? <Failure error={status.error} retry={status.reload} /> : <Waiting height={400} />;
  const chosen = read(place.query, status.data.monitors);
  if (!chosen) {
    return (
      <>
        <h1>Nothing to explore yet</h1>
        <Empty>No monitor is configured. <a href="/monitors?new=1">Add one from sample records.</a></Empty>
      </>
    );
  }
  return <Explored key={chosen.monitor.name} chosen={chosen} monitors={status.data.monitors} />;
}

function Explored({ chosen, monitors }: { chosen: Chosen; monitors: Monitor[] }) {
  const { monitor, measure, slice } = chosen;
  const windowMillis = monitor.interval_seconds * 1000;
  const newest = Date.parse(monitor.closed_through ?? "") || Date.now();
  // New windows are announced and do not move what is being read.
  const [end, setEnd] = useState(newest);
  const first = useFirst(chosen);
  const view = viewOf(chosen, first, end, windowMillis);
  const series = useSeries({ monitor: monitor.name, measure, slice, windowMillis, view, newest: end, ghost: chosen.week });
  const bounds = useMemo(() => ({ from: end - 3 * 366 * DAY, to: end + windowMillis }), [end, windowMillis]);
  const unit = monitor.measures.find(({ name }) => name === measure)?.unit ?? null;
  const label = `${measure}, ${placeWords(slice, "all")}`;
  useEffect(() => { document.title = `${sentence(label)} – Tidewatch`; }, [label]);

  const look = (to: Range): void => setQuery({ ...ends("", within(to, bounds)), span: undefined }, { replace: true });
  const zoom = (factor: number): void => look(zoomed(view, factor, windowMillis));
  const pan = (share: number): void => {
    const step = (view.to - view.from) * share;
    look({ from: view.from + step, to: view.to + step });
  };
  const answer = useRef<HTMLDivElement>(null);
  /** What was asked for may lie below the edge of a phone. */
  const reveal = (): void => void setTimeout(() => answer.current?.scrollIntoView({ block: "nearest" }), REVEAL_MILLIS);
  const pick = (time: number): void => {
    setQuery({ at: rfc3339(time), ...ends("mark_", null) }, { replace: true });
    reveal();
  };
  const mark = (range: Range | null): void => {
    setQuery({ ...ends("mark_", range), at: undefined }, { replace: true });
    if (range) reveal();
  };
  useKeys([
    { key: "[", does: "look earlier", run: () => pan(-0.5) },
    { key: "]", does: "look later", run: () => pan(0.5) },
    { key: "w", does: "compare with the week before", run: () => setQuery({ week: chosen.week ? undefined : 1 }) },
  ]);

  const newer = Math.round((newest - end) / windowMillis);
  return (
    <div class="explorer">
      <Slices chosen={chosen} monitors={monitors} />
      <h1>{headline(measure, slice, series.data, view, unit)}</h1>
      <div class="tools">
        <div class="actions" role="group" aria-label="Span">
          {SPANS.map(([name, title, length]) => (
            <button type="button" key={name} aria-pressed={!chosen.range && chosen.span === name}
              onClick={() => { setEnd(newest); setQuery({ span: name, ...ends("", null) }); }}
              title={length === Infinity ? "All that is stored" : `The last ${duration(length)}`}>
              {title}
            </button>
          ))}
        </div>
        <div class="actions" role="group" aria-label="Move">
          <button type="button" onClick={() => pan(-0.5)} title="Key [">Earlier</button>
          <button type="button" onClick={() => pan(0.5)} disabled={view.to >= bounds.to} title="Key ]">Later</button>
          <button type="button" onClick={() => zoom(0.5)}>Zoom in</button>
          <button type="button" onClick={() => zoom(2)}>Zoom out</button>
        </div>
        <label class="actions">
          <input type="checkbox" checked={chosen.week} onChange={() => setQuery({ week: chosen.week ? undefined : 1 })} />
          Week before
        </label>
        <CopyLink />
        {newer > 0 && (
          <button type="button" class="newer" onClick={() => { setEnd(newest); setQuery(ends("", null)); }}>
            {count(newer, "newer window")}: show
          </button>
        )}
      </div>
      {series.error && !series.data ? (
        <Failure error={series.error} retry={series.reload} />
      ) : (
        <>
          <Stale since={series.staleSince} error={series.error} />
          <SeriesChart data={series.data} ghost={series.ghost} label={label} unit={unit} view={view} bounds={bounds}
            picked={chosen.at} marked={chosen.marked} onView={look} onPick={pick} onMark={mark} />
        </>
      )}
      <div class="answer" ref={answer}>
        {chosen.marked && (
          <Marked chosen={chosen} range={chosen.marked} onClear={() => mark(null)}
            onZoom={() => chosen.marked && setQuery({ ...ends("", zoomed(chosen.marked, 1.2, windowMillis)), ...ends("mark_", null), span: undefined })} />
        )}
        {chosen.at !== null && (
          <Why chosen={chosen} at={chosen.at} onClose={() => setQuery({ at: undefined })}
            onMissed={() => chosen.at !== null && mark({ from: chosen.at, to: chosen.at + windowMillis })} />
        )}
        {!chosen.marked && chosen.at === null && (
          <p class="note">
            Press a window to learn why it was or was not flagged. Drag over a range to zoom in or to report an incident that
            nobody was told of.
          </p>
        )}
      </div>
    </div>
  );
}

function viewOf(chosen: Chosen, first: number, end: number, windowMillis: number): Range {
  if (chosen.range) return chosen.range;
  const length = SPANS.find(([name]) => name === chosen.span)?.[2] ?? DAY;
  return { from: Math.min(Math.max(first, end - length), end - windowMillis * 12), to: end };
}

/** Start of the first window that is stored of the series; asked for only when all is to be shown. */
function useFirst({ monitor, measure, slice, span, range }: Chosen): number {
  const isAsked = span === "all" && range === null;
  const path = `monitors/${encodeURIComponent(monitor.name)}/observations`;
  const { data } = useGet<Observations>(isAsked ? path : null, { measure, ...sliceQuery(slice), from: rfc3339(0), limit: 1 });
  const time = Date.parse(data?.observations[0]?.time ?? "");
  return isAsked ? time || Date.parse(monitor.closed_through ?? "") - 28 * DAY || 0 : 0;
}

/** What the chart shows, as a sentence. */
function headline(measure: string, slice: Chosen["slice"], data: SeriesData | null, view: Range, unit: string | null): string {
  const who = `${sentence(measure)}${Object.keys(slice).length ? ` in ${placeWords(slice)}` : ""}`;
  if (!data) return who;
  const shown = data.points.slice(lowerBound(data.points, view.from), lowerBound(data.points, view.to));
  const last = shown.findLast(({ value }) => value !== null);
  if (!last) return `${who}: no data in this span`;
  const odd = shown.filter(isAnomalous).length;
  // Out of every few windows only the extremes are there: no value stands for the others.
  if (data.windowsPerPoint > 1) {
    return `${who}, ${day(view.from, data.zone)} to ${day(view.to, data.zone)}: ${odd ? "some windows anomalous" : "nothing anomalous"}`;
  }
  const now = `${withUnit(last.value, unit)} at ${clock(last.time, data.zone)}`;
  const than = last.expected === null || last.value === null ? "still learning" : against(last.value, last.expected);
  return `${who}: ${now}, ${than}; ${odd ? count(odd, "anomalous window") : "nothing anomalous"} in this span`;
}
