// What happened to an incident, what it told whom, and what people did.

import { useGet } from "../../shared/load.ts";
import { Time } from "../../shared/parts.tsx";
import { Badge, isCertain } from "../../shared/severity.tsx";
import { DAY, clock, day, dayClock, span } from "../../shared/time.ts";
import type { Deliveries, Delivery, IncidentDetail, TimelineEntry } from "../../shared/types.ts";

const WHAT: Record<string, string> = {
  opened: "opened",
  escalated: "escalated",
  recovered: "back to normal",
  resumed: "off again",
  closed: "closed",
  revised: "revised by late data",
  retracted: "taken back: with late data nothing was off",
  acknowledge: "acknowledged",
  assign: "assigned to",
  mute: "muted",
  note: "noted",
  feedback: "feedback",
};

interface Step {
  at: string;
  words: string;
  by?: string | null;
  severity?: number | null;
  text?: string | null;
  trouble?: string | null;
}

export function Timeline({ incident, zone }: { incident: IncidentDetail; zone: string | undefined }) {
  const told = useGet<Deliveries>("deliveries", { incident: incident.id, limit: 200 }, ["incident"]);
  const steps = [...incident.timeline.map(stepOf), ...tellings(told.data?.deliveries ?? [])].sort((one, other) =>
    one.at.localeCompare(other.at),
  );
  const oneDay = steps.every(({ at }) => day(at, zone) === day(steps[0]?.at ?? at, zone));
  return (
    <section aria-labelledby="timeline">
      <h2 id="timeline">Timeline</h2>
      <ol class="timeline">
        {steps.map((step) => (
          <li>
            <Time at={step.at} zone={zone}>
              {oneDay ? clock(step.at, zone) : dayClock(step.at, zone)}
            </Time>
            <span>
              {step.words}
              {step.text && <span class="said"> {step.text}</span>}
              {step.by && <span class="soft"> by {step.by}</span>}
              {step.trouble && <b>: {step.trouble}</b>}
            </span>
            {step.severity && !isCertain(incident) ? <Badge severity={step.severity} /> : null}
          </li>
        ))}
      </ol>
      {told.data?.deliveries.length === 0 && (
        <p class="soft">Nobody was told: no alert rule wanted it. <a href="/alerts">Alert rules</a></p>
      )}
    </section>
  );
}

function stepOf({ at, what, by, severity, text }: TimelineEntry): Step {
  const words = text?.startsWith("quiet ended") ? "unmuted" : (WHAT[what] ?? what);
  return { at, words, by, severity, text: words === "unmuted" ? null : readable(text) };
}

/** The server's own times and labels within words, as people read them. */
const readable = (text: string | null): string | null =>
  text?.replaceAll("_", " ").replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (time) => `${dayClock(time, "UTC")} UTC`) ?? null;

/** Messages of one moment and kind are one line. */
function tellings(deliveries: Delivery[]): Step[] {
  const groups = new Map<string, Delivery[]>();
  for (const one of deliveries) {
    const key = `${one.at} ${one.kind}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()].map((group) => {
    const failed = group.filter(({ state }) => state === "given_up").map(({ notifier }) => notifier);
    const waiting = group.filter(({ state }) => state === "waiting").map(({ notifier }) => notifier);
    const trouble = [
      failed.length ? `${failed.join(", ")} could not be reached` : "",
      waiting.length ? `${waiting.join(", ")} not reached yet` : "",
    ].filter(Boolean);
    return {
      at: group[0]?.at ?? "",
      words: `told ${[...new Set(group.map(({ notifier }) => notifier))].join(", ")} (${group[0]?.kind})`,
      trouble: trouble.join("; ") || null,
    };
  });
}

/** Special times before and during the incident. */
export function Around({ incident, zone }: { incident: IncidentDetail; zone: string | undefined }) {
  if (!incident.events.length) return null;
  return (
    <section aria-labelledby="around">
      <h2 id="around">Around that time</h2>
      <ul class="points">
        {incident.events.map((event) => (
          <li>
            {event.name} <span class="soft">{event.kind}, {eventSpan(event.from, event.to, zone)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function eventSpan(from: string, to: string, zone: string | undefined): string {
  const wall = !/(Z|[+-]\d\d:\d\d)$/.test(from);
  const [start, end] = wall ? [Date.parse(`${from}Z`), Date.parse(`${to}Z`)] : [Date.parse(from), Date.parse(to)];
  const where = wall ? "UTC" : zone;
  return end - start === DAY && clock(start, where) === "00:00" ? day(start, where) : span(start, end, where);
}
