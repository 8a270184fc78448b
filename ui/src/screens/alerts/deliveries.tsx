// Messages that were sent, wait or failed; newest first, page by page.

import { useEffect, useState } from "preact/hooks";

import { type ApiError, get } from "../../shared/api.ts";
import { useGet } from "../../shared/load.ts";
import { Empty, Failure, Time, Waiting } from "../../shared/parts.tsx";
import { setQuery } from "../../shared/router.ts";
import { sentence } from "../../shared/words.ts";
import type { Delivery } from "./wire.ts";

interface Page {
  deliveries: Delivery[];
  next: string | null;
}

const PAGE = 50;
const STATES: [string, string][] = [["", "All"], ["waiting", "Waiting"], ["sent", "Arrived"], ["given_up", "Given up"]];
const WORDS = { waiting: "Waits", sent: "Arrived", given_up: "Given up" };

export function DeliveryList({ query, notifiers, zone }: { query: URLSearchParams; notifiers: string[]; zone: string | undefined }) {
  const asked = { notifier: query.get("notifier"), state: query.get("state"), limit: PAGE };
  const first = useGet<Page>("deliveries", asked, ["incident"]);
  const [more, setMore] = useState<Delivery[]>([]);
  const [next, setNext] = useState<string | null | undefined>(undefined);
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => {
    setMore([]);
    setNext(undefined);
  }, [asked.notifier, asked.state]);
  const following = next === undefined ? first.data?.next : next;
  const load = async (): Promise<void> => {
    try {
      const page = await get<Page>("deliveries", { ...asked, after: following });
      setMore([...more, ...page.deliveries]);
      setNext(page.next);
      setError(null);
    } catch (failure) {
      setError(failure as ApiError);
    }
  };
  if (first.error && !first.data) return <Failure error={first.error} retry={first.reload} />;
  const all = [...(first.data?.deliveries ?? []), ...more];
  return (
    <>
      <div class="actions">
        <label class="actions">State
          <select value={asked.state ?? ""} onChange={(event) => setQuery({ state: event.currentTarget.value })}>
            {STATES.map(([value, title]) => <option key={value} value={value}>{title}</option>)}
          </select>
        </label>
        <label class="actions">Notifier
          <select value={asked.notifier ?? ""} onChange={(event) => setQuery({ notifier: event.currentTarget.value })}>
            <option value="">All</option>
            {notifiers.map((name) => <option key={name} value={name}>{name}</option>)}
          </select>
        </label>
      </div>
      {!first.data && <Waiting height={200} />}
      {first.data && all.length === 0 && (
        <Empty>{asked.state || asked.notifier ? "No such message." : "No message yet. One is sent when an incident opens that a rule asks for."}</Empty>
      )}
      <ul class="deliveries">
        {all.map((one) => (
          <li key={one.id}>
            <Time at={one.created_at} zone={zone} />
            <span>{one.state === "sent" ? WORDS.sent : <b>{WORDS[one.state]}</b>}: {one.kind}, to {one.notifier}</span>
            <span>
              <a href={`/incidents/${encodeURIComponent(one.incident)}`}>{sentence(one.summary)}</a>
              {one.rule && <span class="soft"> by rule {one.rule}</span>}
              {one.attempts > 1 && <span class="soft">, {one.attempts} attempts</span>}
              {one.last_error && <span class="soft">: {one.last_error}</span>}
            </span>
          </li>
        ))}
      </ul>
      {following && <p><button type="button" onClick={() => void load()}>Show earlier ones</button></p>}
      {error && <Failure error={error} />}
    </>
  );
}
