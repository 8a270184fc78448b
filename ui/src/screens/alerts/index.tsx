// Alerts: who is told of what, what that would have meant, and whether it arrived.

import "./alerts.css";

import type { ScreenProps } from "../../app/routes.ts";
import { useGet } from "../../shared/load.ts";
import { count } from "../../shared/numbers.ts";
import { Empty, Failure, Stale, Waiting } from "../../shared/parts.tsx";
import { shopZone, useStatus } from "../../shared/status.tsx";
import { DeliveryList } from "./deliveries.tsx";
import { NotifierList } from "./notifiers.tsx";
import { RuleRow } from "./rule.tsx";
import type { Notifier, Rule } from "./wire.ts";

export default function Alerts({ place }: ScreenProps) {
  const status = useStatus();
  const rules = useGet<{ rules: Rule[] }>("rules");
  const notifiers = useGet<{ notifiers: Notifier[] }>("notifiers", {}, ["incident"]);
  const only = place.query.get("monitor");
  const zone = shopZone(status.data);
  const error = rules.error ?? notifiers.error;
  if (error && !(rules.data && notifiers.data)) return <Failure error={error} retry={() => { rules.reload(); notifiers.reload(); }} />;
  if (!rules.data || !notifiers.data) return <Waiting height={400} />;
  const shown = rules.data.rules.filter((rule) => !only || rule.monitor === only);
  return (
    <div class="alerts">
      <h1>{headline(shown, notifiers.data.notifiers)}</h1>
      <Stale since={rules.staleSince ?? notifiers.staleSince} error={error} />
      <section aria-labelledby="rules">
        <h2 id="rules">Rules{only && <> of {only} <a class="soft" href="/alerts">show all</a></>}</h2>
        {shown.length === 0 && (
          <Empty>No rule, so nobody is told of anything. Rules are written in a monitor's settings, as <code>[[monitors.NAME.alerts]]</code>:
            from which severity, and to which notifiers.</Empty>
        )}
        <ul class="rows">
          {shown.map((rule) => <RuleRow key={`${rule.monitor} ${rule.name}`} rule={rule} zone={zone} isOpen={place.query.get("rule") === rule.name} days={Number(place.query.get("days")) || 7} now={status.data} />)}
        </ul>
      </section>
      <section aria-labelledby="notifiers">
        <h2 id="notifiers">Notifiers</h2>
        <NotifierList notifiers={notifiers.data.notifiers} zone={zone} onTested={notifiers.reload} />
      </section>
      <section aria-labelledby="deliveries">
        <h2 id="deliveries">Messages</h2>
        <DeliveryList query={place.query} notifiers={notifiers.data.notifiers.map(({ name }) => name)} zone={zone} />
      </section>
    </div>
  );
}

function headline(rules: Rule[], notifiers: Notifier[]): string {
  const failed = notifiers.reduce((sum, { failed_24h }) => sum + failed_24h, 0);
  const pending = notifiers.reduce((sum, one) => sum + one.pending, 0);
  if (rules.length === 0) return "Nobody is told: there are no alert rules";
  const state = [
    failed > 0 && `${count(failed, "message")} given up in the last 24 hours`,
    pending > 0 && `${count(pending, "message")} waiting`,
  ].filter(Boolean);
  return `${count(rules.length, "rule")}, ${count(notifiers.length, "notifier")}: ${state.join(", ") || "every message of the last 24 hours arrived"}`;
}
