// One rule in words, and what it would have told over the stored past.

import { useGet } from "../../shared/load.ts";
import { count, number } from "../../shared/numbers.ts";
import { Failure, Waiting } from "../../shared/parts.tsx";
import { setQuery } from "../../shared/router.ts";
import { Badge, judged, severityWords } from "../../shared/severity.tsx";
import { shopNow } from "../../shared/status.tsx";
import { DAY, dayClock, duration, rfc3339 } from "../../shared/time.ts";
import type { Status } from "../../shared/types.ts";
import { sentence } from "../../shared/words.ts";
import type { Rule, RulePreview } from "./wire.ts";

const SPANS = [1, 7, 30, 90];
const MESSAGES_SHOWN = 50;

interface Props {
  rule: Rule;
  zone: string | undefined;
  isOpen: boolean;
  days: number;
  now: Status | undefined;
}

export function RuleRow({ rule, zone, isOpen, days, now }: Props) {
  return (
    <li>
      <div class="headed">
        <div>
          <h3>{rule.name} <span class="soft">of <a href={`/monitors/${encodeURIComponent(rule.monitor)}`}>{rule.monitor}</a></span></h3>
          <p>{ruleWords(rule)}</p>
        </div>
        <button type="button" aria-expanded={isOpen} onClick={() => setQuery({ rule: isOpen ? undefined : rule.name })}>
          {isOpen ? "Close preview" : "What would it have told?"}
        </button>
      </div>
      {isOpen && <Preview rule={rule} zone={zone} days={days} now={shopNow(now)} />}
    </li>
  );
}

function Preview({ rule, zone, days, now }: { rule: Rule; zone: string | undefined; days: number; now: number }) {
  // On a grid of five minutes, so that passing time does not ask anew at every look.
  const since = rfc3339(Math.floor((now - days * DAY) / 300_000) * 300_000);
  const path = `monitors/${encodeURIComponent(rule.monitor)}/alerts/preview`;
  const { data, error, reload } = useGet<RulePreview>(path, { rule: rule.name, since });
  return (
    <div class="preview" aria-live="polite">
      <div class="actions" role="group" aria-label="How far back">
        {SPANS.map((length) => (
          <button type="button" key={length} aria-pressed={length === days} onClick={() => setQuery({ days: length })}>
            {count(length, "day")}
          </button>
        ))}
      </div>
      {error && !data && <Failure error={error} retry={reload} />}
      {!data && !error && <Waiting height={80} label="Judging the stored windows" />}
      {data && <p class="sentence">{previewWords(data)}</p>}
      {data && data.alerts.length > 0 && (
        <ul class="messages">
          {data.alerts.toReversed().slice(0, MESSAGES_SHOWN).map(({ kind, at, incident }) => (
            <li key={`${kind}${at}${incident.id}`}>
              <span class="soft">{dayClock(at, zone)}</span> {kind} <Badge severity={judged(incident)} />{" "}
              {incident.id ? <a href={`/incidents/${encodeURIComponent(incident.id)}`}>{sentence(incident.summary)}</a> : sentence(incident.summary)}
            </li>
          ))}
        </ul>
      )}
      {data && data.alerts.length > MESSAGES_SHOWN && <p class="soft">and {data.alerts.length - MESSAGES_SHOWN} earlier ones</p>}
    </div>
  );
}

function previewWords({ from, to, num_windows, alerts, held_back }: RulePreview): string {
  if (num_windows === 0 || !from || !to) return "No windows are stored of that time.";
  const incidents = new Set(alerts.map(({ incident }) => incident.id || incident.opened_at)).size;
  const told = `It would have told ${count(alerts.length, "message")} about ${count(incidents, "incident")}`;
  const held = [
    [held_back.schedule, "by its schedule or a mute"],
    [held_back.cool_down, "by the cool-down"],
    [held_back.cap, "by the cap per hour"],
  ].flatMap(([amount, why]) => (amount ? [`${amount} ${why}`] : []));
  const rest = held.length ? `; held back: ${held.join(", ")}` : "";
  return `${told} in the last ${duration(Date.parse(to) - Date.parse(from))} that are stored${rest}.`;
}

/** The rule as a sentence. */
export function ruleWords(rule: Rule): string {
  const { severity, budget_per_week: budget, to, measures, slices, direction, duration: lasting, schedule } = rule;
  const allowed = `as often as a budget of ${number(budget, 2)} false ${budget === 1 ? "alarm" : "alarms"} a week allows, now from severity ${severityWords(rule.severity_now)}`;
  const when = severity === null ? allowed : `from severity ${severityWords(severity)}`;
  const what = measures.length ? ` of ${measures.join(", ")}` : "";
  const where = Object.entries(slices).map(([name, values]) => ` in ${name} ${values.join(", ")}`).join("");
  const more = [
    direction && `only ${direction === "drop" ? "drops" : "rises"}`,
    lasting && `only when ${lasting.windows} of ${lasting.of} windows were anomalous`,
    rule.min_impact > 0 && `only from an impact of ${number(rule.min_impact)}`,
    schedule && `only ${schedule.days.length < 7 ? `${schedule.days.map(sentence).join(", ")} ` : ""}from ${schedule.from} to ${schedule.to}`,
    rule.cool_down_seconds > 0 && `then quiet for ${duration(rule.cool_down_seconds * 1000)}`,
    rule.max_per_hour && `at most ${rule.max_per_hour} an hour`,
    rule.digest && `one message ${rule.digest === "day" ? "a day" : "an hour"}`,
    rule.events && `of what happens: ${rule.events.join(", ").replaceAll("_", " ")}`,
  ].filter(Boolean);
  return `Tells ${to.join(", ") || "nobody"} ${when}${what}${where}${more.length ? `; ${more.join(", ")}` : ""}.`;
}
