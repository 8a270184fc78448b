// All monitors: what each watches, how far it is, and whether it has learned.

import { count, exact } from "../../shared/numbers.ts";
import { Empty, Time } from "../../shared/parts.tsx";
import { duration, near } from "../../shared/time.ts";
import type { Monitor, Status } from "../../shared/types.ts";
import { Learning, learningWords } from "./learning.tsx";
import { Reload } from "./reload.tsx";

export function MonitorList({ status }: { status: Status }) {
  const { monitors } = status;
  return (
    <div class="monitors">
      <header class="headed">
        <h1>{monitors.length ? `${count(monitors.length, "monitor")}, ${learned(monitors)}` : "No monitors yet"}</h1>
        <div class="actions">
          <a class="button" href="/monitors?new=1">New monitor from sample records</a>
          <Reload />
        </div>
      </header>
      {monitors.length === 0 && (
        <Empty>A monitor says what is counted, in which windows and slices, and who is told. Paste a few of your records and
          Tidewatch proposes one.</Empty>
      )}
      <ul class="rows">
        {monitors.map((monitor) => <Row key={monitor.name} monitor={monitor} now={status.now} />)}
      </ul>
    </div>
  );
}

function Row({ monitor, now }: { monitor: Monitor; now: string }) {
  const { name, totals, zone, closed_through, num_open_incidents } = monitor;
  const lost = totals.rejected + totals.late + totals.over_limit;
  return (
    <li>
      <h2><a href={`/monitors/${encodeURIComponent(name)}`}>{name}</a></h2>
      <p>
        {monitor.measures.map((measure) => measure.name).join(", ")}
        {monitor.dimensions.length > 0 && <> by {monitor.dimensions.join(", ")}</>}
        <span class="soft">, every {duration(monitor.interval_seconds * 1000)}, from source {monitor.source}</span>
      </p>
      <p>
        {num_open_incidents > 0 ? (
          <a href={`/incidents?monitor=${encodeURIComponent(name)}&state=open`}>{count(num_open_incidents, "open incident")}</a>
        ) : "No open incident"}
; {count(monitor.num_series, "series", "series")}, {learningWords(monitor)}
        {closed_through && <>; windows closed until <Time at={closed_through} zone={zone}>{near(closed_through, now, zone)}</Time></>}
      </p>
      {lost > 0 && (
        <p class="soft">
          Of {exact(totals.events)} events {exact(totals.counted)} were counted, {exact(totals.rejected)} refused,{" "}
          {exact(totals.late)} late, {exact(totals.over_limit)} over a limit.
        </p>
      )}
      <Learning monitor={monitor} now={now} />
    </li>
  );
}

function learned(monitors: Monitor[]): string {
  const empty = monitors.filter((monitor) => monitor.num_series === 0).length;
  const learning = monitors.filter((monitor) => monitor.learning || monitor.num_learning > 0).length;
  if (learning + empty === 0) return monitors.length === 1 ? "fully learned" : "all fully learned";
  return [learning > 0 && `${learning} still learning`, empty > 0 && `${empty} without data yet`].filter(Boolean).join(", ");
}
