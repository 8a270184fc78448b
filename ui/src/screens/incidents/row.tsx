// One incident in a list: severity, sentence, since when, what it costs, who takes care. One line where there is room.

import type { VNode } from "preact";
import { useRef } from "preact/hooks";

import { href } from "../../shared/router.ts";
import { band, IncidentBadge, isCertain, judged } from "../../shared/severity.tsx";
import { monitorOf, useStatus } from "../../shared/status.tsx";
import { duration, elsewhere, span } from "../../shared/time.ts";
import type { Incident } from "../../shared/types.ts";
import { costPerHour, LABELS, sentence } from "../../shared/words.ts";

export interface RowProps {
  incident: Incident;
  /** The zone of its monitor. */
  zone: string | undefined;
  /** Whether there are several monitors, so that the row must say which. */
  several: boolean;
  selected?: boolean;
  /** No longer matches what was asked for. */
  gone?: boolean;
}

/** The address of an incident. */
export const incidentHref = (id: string): string => href(`/incidents/${encodeURIComponent(id)}`);

export function Row({ incident, zone, several, selected = false, gone = false }: RowProps) {
  const lasted = duration(Date.parse(incident.until) - Date.parse(incident.opened_at));
  const price = isCertain(incident) ? "" : costPerHour(incident);
  return (
    <li
      class={`row ${isCertain(incident) ? "certain" : band(judged(incident))} ${incident.state}${gone ? " gone" : ""}`}
      aria-current={selected ? "true" : undefined}
      data-id={incident.id}
    >
      <IncidentBadge incident={incident} />
      <a class="sentence" href={incidentHref(incident.id)}>
        {headline(incident)}
      </a>
      <ul class="facts">
        <li title={`${span(incident.opened_at, incident.until, zone)}; began ${elsewhere(incident.opened_at)}`}>
          {incident.state === "open" ? `open, ${lasted} so far` : `lasted ${lasted}`}
        </li>
        {reasonOf(incident) && <li class="clipped">{reasonOf(incident)}</li>}
        {price && <li>{price}</li>}
        {incident.kind === "minor" && <li title="Significant, but too small or too slow to page anyone">small or slow</li>}
        <Care incident={incident} />
        {several && <li>{incident.monitor}</li>}
        {gone && <li>changed meanwhile</li>}
      </ul>
    </li>
  );
}

/** Rows of a list. One whose facts are the same is left alone, so that a key costs the same with a thousand of them. */
export function useRows(): (incident: Incident, selected?: boolean, gone?: boolean) => VNode {
  const { data } = useStatus();
  const made = useRef(new Map<string, { props: unknown[]; row: VNode }>());
  const several = (data?.monitors.length ?? 0) > 1;
  return (incident, selected = false, gone = false) => {
    const zone = monitorOf(data, incident.monitor)?.zone;
    const props = [incident, zone, several, selected, gone];
    const known = made.current.get(incident.id);
    if (known && props.every((value, index) => value === known.props[index])) return known.row;
    const row = <Row key={incident.id} incident={incident} zone={zone} several={several} selected={selected} gone={gone} />;
    made.current.set(incident.id, { props, row });
    return row;
  };
}

/** The sentence, as a sentence begins. Of what is certain, why is said apart: it is what a machine said. */
export const headline = (incident: Pick<Incident, "summary" | "kind">): string =>
  sentence(isCertain(incident) ? (incident.summary.split(": ", 1)[0] ?? "") : incident.summary);

/** Why nothing is known, in the words of the source. */
export const reasonOf = (incident: Pick<Incident, "summary" | "kind">): string =>
  isCertain(incident) ? sentence(incident.summary.slice(headline(incident).length + 2)) : "";

/** What people did with it, in a word or two. */
export function Care({ incident }: { incident: Incident }) {
  return (
    <>
      {incident.mute && <li>muted</li>}
      {incident.assigned_to && <li>assigned to {incident.assigned_to}</li>}
      {incident.acknowledged_by && !incident.assigned_to && <li>acknowledged by {incident.acknowledged_by}</li>}
      {incident.label && <li>{LABELS[incident.label].name.toLowerCase()}</li>}
    </>
  );
}
