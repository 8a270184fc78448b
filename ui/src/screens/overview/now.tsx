// What is wrong now, worst first, and what ended lately.

import { useEffect, useRef, useState } from "preact/hooks";

import { type Loaded, useGet } from "../../shared/load.ts";
import { count } from "../../shared/numbers.ts";
import { Empty, Failure, Waiting } from "../../shared/parts.tsx";
import { band, BANDS, isCertain, judged } from "../../shared/severity.tsx";
import { useStatus } from "../../shared/status.tsx";
import { duration, MINUTE } from "../../shared/time.ts";
import type { Incident, Incidents, Source, Status } from "../../shared/types.ts";
import { useRows } from "../incidents/row.tsx";

/** Open ones that are not counted as wrong: small, slow, or below what pages anyone by default. */
const WRONG_FROM = 70;
const LATELY = 5;
const BEHIND_MILLIS = 15 * MINUTE;

export const isWrong = (incident: Incident): boolean =>
  isCertain(incident) || (incident.kind === "deviation" && judged(incident) >= WRONG_FROM);

/** The source that is so far behind that what it says is not about now. */
export const behindOf = (status: Status | undefined): Source | undefined =>
  status?.sources.find(({ state, lag_millis }) => state === "reading" && (lag_millis ?? 0) > BEHIND_MILLIS);

/** `1 serious, 2 notable now`; what is certain comes first. */
export function headlineOf(open: Incident[], behind: Source | undefined): string {
  const certain = open.filter(isCertain).map(({ kind, monitor }) => `${monitor}: ${kind === "no_data" ? "no data" : "engine trouble"}`);
  const wrong = open.filter((incident) => isWrong(incident) && !isCertain(incident));
  const bands = BANDS.map(([word]): [string, number] => [word, wrong.filter((incident) => band(judged(incident)) === word).length]);
  const words = bands.filter(([, amount]) => amount).map(([word, amount]) => `${amount} ${word}`);
  const all = [...new Set(certain), ...words];
  if (!behind) return all.length ? `${all.join(", ")} now` : "Nothing is wrong now";
  const ago = `${duration(behind.lag_millis ?? 0)} behind`;
  return all.length ? `${all.join(", ")}, but ${behind.name} is ${ago}` : `Catching up: ${behind.name} is ${ago}`;
}

/** Worst first: severity, then what it costs. */
const worse = (one: Incident, other: Incident) =>
  Number(isCertain(other)) - Number(isCertain(one)) ||
  judged(other) - judged(one) ||
  Math.abs(other.impact?.money?.value ?? 0) - Math.abs(one.impact?.money?.value ?? 0);

export const useOpen = () => useGet<Incidents>("incidents", { state: "open", limit: 200 }, ["incident"]);

export function Now({ open }: { open: Loaded<Incidents> }) {
  if (open.error && !open.data) return <Failure error={open.error} retry={open.reload} />;
  if (!open.data) return <Waiting height={240} label="Asking for open incidents" />;
  return <Open incidents={open.data.incidents} />;
}

function Open({ incidents }: { incidents: Incident[] }) {
  const wrong = incidents.filter(isWrong).sort(worse);
  const small = incidents.length - wrong.length;
  const held = useHeld(wrong);
  return (
    <section aria-label="Open incidents">
      <New held={held} />
      {held.rows.length > 0 ? <Rows held={held} /> : <Quiet small={small} />}
      {small > 0 && (
        <p class="note">
          <a href="/incidents?state=open&severity=0">{count(small, "smaller or slower one")}</a> open: below {WRONG_FROM}, or too small to
          page anyone.
        </p>
      )}
    </section>
  );
}

export const useClosed = () =>
  useGet<Incidents>("incidents", { state: "closed", min_severity: WRONG_FROM, limit: LATELY }, ["incident"]);

export function Lately({ closed }: { closed: Loaded<Incidents> }) {
  const held = useHeld(closed.data?.incidents ?? []);
  if (closed.error && !closed.data) return null; // said above
  return (
    <section aria-labelledby="lately">
      <div class="section-head">
        <h2 id="lately">Ended lately</h2>
        <New held={held} />
        <a href="/incidents">All incidents</a>
      </div>
      {held.rows.length > 0 && <Rows held={held} />}
      {closed.data?.incidents.length === 0 && <Empty>No incident from {WRONG_FROM} notable has ended so far.</Empty>}
      {closed.loading && <Waiting height={200} label="Asking for closed incidents" />}
    </section>
  );
}

interface Held {
  rows: Incident[];
  fresh: number;
  adopt: () => void;
}

/** Whether rows are being read, so that none may move. */
const isRead = () =>
  scrollY > 100 || document.querySelector(".overview :is(.row:hover, .row:focus-within, .row[data-selected])") !== null;

/** A list whose rows are renewed in place; their order changes only when nobody reads them, or when it is asked for. */
function useHeld(wanted: Incident[]): Held {
  const key = wanted.map(({ id }) => id).join(" ");
  const [shown, setShown] = useState(key);
  const known = useRef(new Map<string, Incident>());
  for (const incident of wanted) known.current.set(incident.id, incident);
  const adopt = () => setShown(key);
  useEffect(() => {
    if (shown === "" || !isRead()) adopt();
  }, [key]);
  const ids = shown.split(" ").filter(Boolean);
  const rows = ids.map((id) => known.current.get(id)).filter((one) => one !== undefined);
  return { rows, fresh: wanted.filter(({ id }) => !ids.includes(id)).length, adopt };
}

function Rows({ held }: { held: Held }) {
  const rowOf = useRows();
  return (
    <div class="list" onPointerLeave={() => isRead() || held.adopt()}>
      <ol class="rows">
        {held.rows.map((incident) => rowOf(incident))}
      </ol>
    </div>
  );
}

function New({ held }: { held: Held }) {
  return (
    <span role="status" aria-live="polite">
      {held.fresh > 0 && (
        <button type="button" onClick={held.adopt}>
          {held.fresh} new
        </button>
      )}
    </span>
  );
}

/** An empty list says why. */
function Quiet({ small }: { small: number }) {
  const { data } = useStatus();
  const learning = data?.monitors.filter((monitor) => monitor.learning) ?? [];
  if (!data) return null;
  if (data.monitors.length === 0) {
    return <Empty>No monitor is configured, so nothing is watched. <a href="/monitors">Set one up</a></Empty>;
  }
  if (learning.length === data.monitors.length) {
    return <Empty>Nothing can be wrong yet: {learning.map(({ name }) => name).join(", ")} first learns what is normal, see below.</Empty>;
  }
  const behind = behindOf(data);
  if (behind) {
    return (
      <Empty>
        {behind.name} is read from its past up to now. Incidents of that time show below and in the list as they are found; what is
        wrong now is known once it has caught up.
      </Empty>
    );
  }
  const judgedSeries = data.monitors.reduce((sum, { alert_rate }) => sum + (alert_rate?.series_judged ?? 0), 0);
  return (
    <Empty>
      {small > 0
        ? `None of the ${count(judgedSeries, "series", "series")} that are judged is off enough to page anyone.`
        : judgedSeries > 0
          ? `All ${count(judgedSeries, "series", "series")} that are judged are as expected.`
          : "Nothing is out of the ordinary."}{" "}
      An incident shows here as soon as its window closes.
    </Empty>
  );
}
