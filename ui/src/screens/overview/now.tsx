// What is wrong now, worst first, and what ended lately.

import { useGet } from "../../shared/load.ts";
import { count } from "../../shared/numbers.ts";
import { Empty, Failure, Waiting } from "../../shared/parts.tsx";
import { band, BANDS, isCertain, judged } from "../../shared/severity.tsx";
import { useStatus } from "../../shared/status.tsx";
import type { Incident, Incidents } from "../../shared/types.ts";
import { Row } from "../incidents/row.tsx";

/** Open ones that are not counted as wrong: small, slow, or below what pages anyone by default. */
const WRONG_FROM = 70;
const LATELY = 5;

export const isWrong = (incident: Incident): boolean =>
  isCertain(incident) || (incident.kind === "deviation" && judged(incident) >= WRONG_FROM);

/** `1 serious, 2 notable now`; what is certain comes first. */
export function headlineOf(open: Incident[]): string {
  const certain = open.filter(isCertain).map(({ kind, monitor }) => `${monitor}: ${kind === "no_data" ? "no data" : "engine trouble"}`);
  const wrong = open.filter((incident) => isWrong(incident) && !isCertain(incident));
  const bands = BANDS.map(([word]): [string, number] => [word, wrong.filter((incident) => band(judged(incident)) === word).length]);
  const words = bands.filter(([, amount]) => amount).map(([word, amount]) => `${amount} ${word}`);
  const all = [...new Set(certain), ...words];
  return all.length ? `${all.join(", ")} now` : "Nothing is wrong now";
}

/** Worst first: severity, then what it costs. */
const worse = (one: Incident, other: Incident) =>
  Number(isCertain(other)) - Number(isCertain(one)) ||
  judged(other) - judged(one) ||
  Math.abs(other.impact?.money?.value ?? 0) - Math.abs(one.impact?.money?.value ?? 0);

export const useOpen = () => useGet<Incidents>("incidents", { state: "open", limit: 200 }, ["incident"]);

export function Now({ open }: { open: ReturnType<typeof useOpen> }) {
  if (open.error && !open.data) return <Failure error={open.error} retry={open.reload} />;
  if (!open.data) return <Waiting height={240} label="Asking for open incidents" />;
  const wrong = open.data.incidents.filter(isWrong).sort(worse);
  const small = open.data.incidents.length - wrong.length;
  return (
      <section aria-label="Open incidents">
        {wrong.length > 0 ? (
          <div class="list">
            <ol class="rows">
              {wrong.map((incident) => (
                <Row key={incident.id} incident={incident} />
              ))}
            </ol>
          </div>
        ) : (
          <Quiet small={small} />
        )}
        {small > 0 && (
          <p class="note">
            <a href="/incidents?state=open&severity=0">{count(small, "smaller or slower one")}</a> open: below {WRONG_FROM}, or too small to
            page anyone.
          </p>
        )}
      </section>
  );
}

export function Lately() {
  const closed = useGet<Incidents>("incidents", { state: "closed", min_severity: WRONG_FROM, limit: LATELY }, ["incident"]);
  if (closed.error && !closed.data) return null; // said above
  return (
      <section aria-labelledby="lately">
        <div class="section-head">
          <h2 id="lately">Ended lately</h2>
          <a href="/incidents">All incidents</a>
        </div>
        {closed.data && closed.data.incidents.length > 0 && (
          <div class="list">
            <ol class="rows">
              {closed.data.incidents.map((incident) => (
                <Row key={incident.id} incident={incident} />
              ))}
            </ol>
          </div>
        )}
        {closed.data?.incidents.length === 0 && <Empty>No incident from {WRONG_FROM} notable has ended so far.</Empty>}
        {closed.loading && <Waiting height={200} label="Asking for closed incidents" />}
      </section>
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
  const judgedSeries = data.monitors.reduce((sum, { alert_rate }) => sum + (alert_rate?.series_judged ?? 0), 0);
  return (
    <Empty>
      {small > 0
        ? `None of the ${count(judgedSeries, "series", "series")} that are judged is off enough to page anyone.`
        : `All ${count(judgedSeries, "series", "series")} that are judged are as expected.`}{" "}
      An incident shows here as soon as its window closes.
    </Empty>
  );
}
