// The calendar: special times that the engine allows for, what it learned from them, and entering more.

import "./calendar.css";

import { useState } from "preact/hooks";

import type { ScreenProps } from "../../app/routes.ts";
import { useGet } from "../../shared/load.ts";
import { count } from "../../shared/numbers.ts";
import { Empty, Failure, Stale, Waiting } from "../../shared/parts.tsx";
import { setQuery } from "../../shared/router.ts";
import { shopNow, useStatus } from "../../shared/status.tsx";
import { DAY, fromWallClock, rfc3339 } from "../../shared/time.ts";
import type { Monitor, SpecialTime, Status } from "../../shared/types.ts";
import { AddForm } from "./add.tsx";
import { Import } from "./import.tsx";
import { TimeRow } from "./row.tsx";
import { whenWords } from "./words.ts";

const KINDS = ["holiday", "promotion", "deploy", "outage"];
/** How far back and ahead is shown: a year either way brings back what comes once a year. */
const PAST_MILLIS = 365 * DAY;
const AHEAD_MILLIS = 400 * DAY;
/** Rows of a part that are shown before all are asked for. */
const SHOWN = 15;

export default function Calendar({ place }: ScreenProps) {
  const status = useStatus();
  if (!status.data) return status.error ? <Failure error={status.error} retry={status.reload} /> : <Waiting height={400} />;
  const { monitors } = status.data;
  const monitor = monitors.find(({ name }) => name === place.query.get("monitor")) ?? monitors[0];
  if (!monitor) {
    return (
      <>
        <h1>No calendar yet</h1>
        <Empty>Special times belong to a monitor, and none is configured. <a href="/monitors?new=1">Add one from sample records.</a></Empty>
      </>
    );
  }
  return <OfMonitor key={monitor.name} monitor={monitor} status={status.data} kind={place.query.get("kind") ?? ""} />;
}

function OfMonitor({ monitor, status, kind }: { monitor: Monitor; status: Status; kind: string }) {
  const now = shopNow(status);
  // Fixed when the page is opened: asking again as time passes would move what is read.
  const [span] = useState(() => ({ from: rfc3339(now - PAST_MILLIS), to: rfc3339(now + AHEAD_MILLIS) }));
  const path = `monitors/${encodeURIComponent(monitor.name)}/calendar`;
  const times = useGet<{ times: SpecialTime[] }>(path, span);
  const [adding, setAdding] = useState<"one" | "file" | null>(null);
  const toggle = (what: "one" | "file"): void => setAdding(adding === what ? null : what);
  const at = (moment: string): number => fromWallClock(moment, monitor.zone);
  const all = (times.data?.times ?? []).filter((one) => !kind || one.kind === kind);
  const running = all.filter(({ from, to }) => at(from) <= now && at(to) > now);
  const coming = all.filter(({ from }) => at(from) > now);
  const past = all.filter(({ to }) => at(to) <= now).toReversed();
  const together = new Map<number, number>();
  for (const { number } of times.data?.times ?? []) if (number) together.set(number, (together.get(number) ?? 0) + 1);
  const shared = { monitor, now, onChanged: times.reload };
  return (
    <div class="calendar">
      <header class="headed">
        <h1>{times.data ? headline(running, coming, monitor.zone, now) : "Calendar"}</h1>
        <div class="actions">
          <button type="button" class="primary" aria-expanded={adding === "one"} onClick={() => toggle("one")}>Add a special time</button>
          <button type="button" aria-expanded={adding === "file"} onClick={() => toggle("file")}>Import ICS</button>
        </div>
      </header>
      {adding === "one" && <AddForm {...shared} />}
      {adding === "file" && <Import {...shared} />}
      <div class="actions">
        {status.monitors.length > 1 && (
          <label class="actions">Monitor
            <select value={monitor.name} onChange={(event) => setQuery({ monitor: event.currentTarget.value })}>
              {status.monitors.map(({ name }) => <option key={name} value={name}>{name}</option>)}
            </select>
          </label>
        )}
        <label class="actions">Kind
          <select value={kind} onChange={(event) => setQuery({ kind: event.currentTarget.value })}>
            <option value="">All</option>
            {KINDS.map((one) => <option key={one} value={one}>{one}</option>)}
          </select>
        </label>
      </div>
      {times.error && !times.data && <Failure error={times.error} retry={times.reload} />}
      <Stale since={times.data ? times.staleSince : undefined} error={times.error} />
      {times.loading && <Waiting height={300} />}
      {times.data && all.length === 0 && (
        <Empty>
          Nothing special in this time. Holidays of a country and days of retail are switched on in the monitor's settings
          (<code>calendar = {"{ holidays = [\"DE\"], retail = true }"}</code>); promotions, deploys and outages are entered here.
        </Empty>
      )}
      <Section title="Now" times={running} together={together} {...shared} />
      <Section title="Coming" times={coming} together={together} {...shared} />
      <Section title="Past year" times={past} together={together} {...shared} />
    </div>
  );
}

interface SectionProps {
  title: string;
  times: SpecialTime[];
  together: Map<number, number>;
  monitor: Monitor;
  now: number;
  onChanged: () => void;
}

function Section({ title, times, together, ...shared }: SectionProps) {
  const [all, setAll] = useState(false);
  if (times.length === 0) return null;
  const shown = all ? times : times.slice(0, SHOWN);
  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      <ul class="rows">
        {shown.map((one) => (
          <TimeRow key={`${one.name}${one.from}${one.number ?? ""}`} time={one} together={(one.number && together.get(one.number)) || 1} {...shared} />
        ))}
      </ul>
      {shown.length < times.length && (
        <p class="actions"><button type="button" onClick={() => setAll(true)}>Show {count(times.length - shown.length, "more", "more")}</button></p>
      )}
    </section>
  );
}

function headline(running: SpecialTime[], coming: SpecialTime[], zone: string, now: number): string {
  const next = coming[0];
  const then = next ? `next is ${next.name}, ${whenWords(next, zone, now)}` : "nothing special is coming";
  if (running.length === 0) return then.charAt(0).toUpperCase() + then.slice(1);
  return `Now: ${running.map(({ name }) => name).join(", ")}; ${then}`;
}
