// Entering a special time. Times are the shop's wall clock.

import { useState } from "preact/hooks";

import { type ApiError, post } from "../../shared/api.ts";
import { by, myName, rememberName } from "../../shared/me.ts";
import { Failure } from "../../shared/parts.tsx";
import { fromWallClock, HOUR, rfc3339, toWallClock } from "../../shared/time.ts";
import type { Monitor } from "../../shared/types.ts";

const KINDS: [string, string][] = [
  ["promotion", "Its like is allowed for, and learned from the first time on."],
  ["deploy", "Shown on charts and beside incidents."],
  ["outage", "What is seen in it is not learned; what was learned in it is unlearned."],
  ["holiday", "Days of its own kind, learned from the first time on."],
];

export function AddForm({ monitor, now, onChanged }: { monitor: Monitor; now: number; onChanged: () => void }) {
  const hour = Math.ceil(now / HOUR) * HOUR;
  const [name, setName] = useState("");
  const [kind, setKind] = useState("promotion");
  const [from, setFrom] = useState(toWallClock(hour, monitor.zone));
  const [to, setTo] = useState(toWallClock(hour + HOUR, monitor.zone));
  const [scope, setScope] = useState<Record<string, string>>({});
  const [percent, setPercent] = useState("");
  const [me, setMe] = useState(myName());
  const [said, setSaid] = useState("");
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setBusy] = useState(false);

  const add = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    setSaid("");
    rememberName(me);
    const values = Object.entries(scope).map(([dimension, text]) => [dimension, text.split(",").map((one) => one.trim()).filter(Boolean)] as const);
    try {
      await post(`monitors/${encodeURIComponent(monitor.name)}/events`, {
        name: name.trim(), kind,
        from: rfc3339(fromWallClock(from, monitor.zone)), to: rfc3339(fromWallClock(to, monitor.zone)),
        scope: Object.fromEntries(values.filter(([, list]) => list.length > 0)),
        ...(percent !== "" && { uplift: 1 + Number(percent) / 100 }),
        ...by(),
      });
      setSaid(`${name.trim()} is in the calendar; windows from the next on know it.`);
      setName("");
      onChanged();
    } catch (failure) {
      setError(failure as ApiError);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form class="entry" aria-label="A special time" onSubmit={(event) => { event.preventDefault(); void add(); }}>
      <div class="fields">
        <label class="field"><span>Name; the same name is the same occasion</span>
          <input value={name} required maxLength={100} placeholder="newsletter" onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <label class="field"><span>Kind</span>
          <select value={kind} onChange={(event) => setKind(event.currentTarget.value)}>
            {KINDS.map(([one]) => <option key={one} value={one}>{one}</option>)}
          </select>
        </label>
        <label class="field"><span>From ({monitor.zone})</span>
          <input type="datetime-local" value={from} required onInput={(event) => setFrom(event.currentTarget.value)} />
        </label>
        <label class="field"><span>To</span>
          <input type="datetime-local" value={to} min={from} required onInput={(event) => setTo(event.currentTarget.value)} />
        </label>
        {monitor.dimensions.map((dimension) => (
          <label class="field" key={dimension}><span>Only {dimension} (commas between)</span>
            <input value={scope[dimension] ?? ""} placeholder="all" onInput={(event) => setScope({ ...scope, [dimension]: event.currentTarget.value })} />
          </label>
        ))}
        <label class="field"><span>Expected change, if you know it (%)</span>
          <input type="number" step="any" min={-99} value={percent} placeholder="is learned" onInput={(event) => setPercent(event.currentTarget.value)} />
        </label>
        <label class="field"><span>Your name</span>
          <input value={me} autocomplete="name" onInput={(event) => setMe(event.currentTarget.value)} />
        </label>
      </div>
      <p class="soft">{KINDS.find(([one]) => one === kind)?.[1]}</p>
      <p class="actions"><button type="submit" class="primary" disabled={isBusy}>Add</button> <span role="status">{said}</span></p>
      {error && <Failure error={error} />}
    </form>
  );
}
