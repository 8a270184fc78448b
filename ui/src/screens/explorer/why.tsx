// Why a window was flagged, or why not, in words.

import { Failure, Waiting } from "../../shared/parts.tsx";
import { useGet } from "../../shared/load.ts";
import { Badge, IncidentBadge } from "../../shared/severity.tsx";
import { rfc3339, span } from "../../shared/time.ts";
import type { Incidents, Why as WhyWire } from "../../shared/types.ts";
import { sentence, sliceQuery } from "../../shared/words.ts";
import type { Chosen } from "./address.ts";

interface Props {
  chosen: Chosen;
  at: number;
  onClose: () => void;
  onMissed: () => void;
}

/** Incidents opened so long before a window may still hold it. */
const LOOK_BACK_MILLIS = 3 * 86_400_000;

export function Why({ chosen, at, onClose, onMissed }: Props) {
  const { monitor, measure, slice } = chosen;
  const why = useGet<WhyWire>("explain", { monitor: monitor.name, measure, ...sliceQuery(slice), time: rfc3339(at) });
  const told = useGet<Incidents>("incidents", {
    monitor: monitor.name, from: rfc3339(at - LOOK_BACK_MILLIS), before: rfc3339(at + monitor.interval_seconds * 1000), limit: 100,
  });
  if (why.error && !why.data) return <Failure error={why.error} retry={why.reload} />;
  if (!why.data) return <Waiting height={160} label="Asking why" />;
  const { data } = why;
  const here = (told.data?.incidents ?? []).filter(({ until }) => Date.parse(until) > at).slice(0, 5);
  return (
    <section class="asked" aria-live="polite" aria-labelledby="why-title">
      <header class="actions">
        <h2 id="why-title">
          {data.learning ? "Still learning" : data.flagged ? "Why flagged" : "Why not flagged"}: {span(data.from, data.to, monitor.zone)}
        </h2>
        {data.severity !== null && <Badge severity={data.severity} />}
      </header>
      {data.learning && (
        <p>The series had seen {data.learning[0]} of the {data.learning[1]} windows it needs before it says anything.</p>
      )}
      <p class="sentence">{sentence(data.text)}</p>
      {data.affected_by_feedback && <p>Feedback kept an alarm quiet here: somebody said that its like is expected.</p>}
      {data.held_back.length > 0 && (
        <>
          <h3>What held it back</h3>
          <ul class="reasons">{data.held_back.map((reason) => <li key={reason}>{sentence(reason)}.</li>)}</ul>
        </>
      )}
      {here.length > 0 && (
        <>
          <h3>Incidents of {monitor.name} at that time</h3>
          <ul class="reasons">
            {here.map((incident) => (
              <li key={incident.id}>
                <IncidentBadge incident={incident} /> <a href={`/incidents/${incident.id}`}>{sentence(incident.summary)}</a>
              </li>
            ))}
          </ul>
        </>
      )}
      {data.comparisons.length > 0 && (
        <details>
          <summary>What was compared, the rarest first</summary>
          <ul class="reasons">{data.comparisons.map((found) => <li key={found}>{sentence(found)}.</li>)}</ul>
        </details>
      )}
      <p class="actions">
        {!data.flagged && <button type="button" onClick={onMissed}>This should have been flagged …</button>}
        <button type="button" onClick={onClose}>Close</button>
      </p>
    </section>
  );
}
