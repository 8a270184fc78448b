// Messages that were sent, wait or failed; newest first, page by page.

import { useEffect, useState } from "preact/hooks";

import { type ApiError, get } from "../../shared/api.ts";
import { useGet } from "../../shared/load.ts";
import { Empty, Failure, Time, Waiting } from "../../shared/parts.tsx";
import { setQuery } from "../../shared/router.ts";
import type { Deliveries, Delivery } from "../../shared/types.ts";

const PAGE = 50;
export const STATES: [string, string][] = [["", "All"], ["pending", "Waiting"], ["delivered", "Arrived"], ["failed", "Failed"]];

export function DeliveryList({ query, notifiers }: { query: URLSearchParams; notifiers: string[] }) {
  const asked = { notifier: query.get("notifier"), state: query.get("state"), limit: PAGE };
  const first = useGet<Deliveries>("deliveries", asked, ["incident"]);
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
      const page = await get<Deliveries>("deliveries", { ...asked, after: following });
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
            <Time at={one.created_at} />
            <span><b>{one.state}</b> {one.kind} to {one.notifier}</span>
            <a href={`/incidents/${encodeURIComponent(one.incident)}`}>{one.incident}</a>
            <span class="soft">rule {one.rule}{one.attempts > 1 && `, ${one.attempts} attempts`}{one.last_error && `: ${one.last_error}`}</span>
          </li>
        ))}
      </ul>
      {following && <p><button type="button" onClick={() => void load()}>Show earlier ones</button></p>}
      {error && <Failure error={error} />}
    </>
  );
}
