// Starting a backtest: which monitor, which time, which settings.

import { useEffect, useState } from "preact/hooks";

import { type ApiError, post } from "../../shared/api.ts";
import { useGet } from "../../shared/load.ts";
import { Failure } from "../../shared/parts.tsx";
import { DAY, rfc3339 } from "../../shared/time.ts";
import type { Monitor } from "../../shared/types.ts";
import { Toml } from "../monitors/toml.tsx";
import type { Config } from "../monitors/wire.ts";

const SPANS: [string, string, number | null][] = [["7", "7 days", 7], ["30", "30 days", 30], ["90", "90 days", 90], ["", "all that is stored", null]];

export function Run({ monitors, onStarted }: { monitors: Monitor[]; onStarted: () => void }) {
  const [monitor, setMonitor] = useState(monitors[0]?.name ?? "");
  const [name, setName] = useState("");
  const [span, setSpan] = useState("30");
  const [isOther, setOther] = useState(false);
  const [toml, setToml] = useState("");
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setBusy] = useState(false);
  const config = useGet<Config>(monitor ? `monitors/${encodeURIComponent(monitor)}/config` : null);
  useEffect(() => setToml(config.data?.toml ?? ""), [config.data]);

  const run = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    const until = Date.parse(monitors.find((one) => one.name === monitor)?.closed_through ?? "") || Date.now();
    const days = SPANS.find(([value]) => value === span)?.[2];
    try {
      await post("backtests", {
        monitor,
        ...(name.trim() && { name: name.trim() }),
        ...(days && { from: rfc3339(until - days * DAY) }),
        ...(isOther && { toml }),
      });
      onStarted();
    } catch (failure) {
      setError(failure as ApiError);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form class="entry" aria-label="A backtest" onSubmit={(event) => { event.preventDefault(); void run(); }}>
      <div class="fields">
        <label class="field"><span>Monitor</span>
          <select value={monitor} onChange={(event) => setMonitor(event.currentTarget.value)}>
            {monitors.map((one) => <option key={one.name} value={one.name}>{one.name}</option>)}
          </select>
        </label>
        <label class="field"><span>Time</span>
          <select value={span} onChange={(event) => setSpan(event.currentTarget.value)}>
            {SPANS.map(([value, title]) => <option key={value} value={value}>{title}</option>)}
          </select>
        </label>
        <label class="field"><span>Name, to find it again</span>
          <input value={name} maxLength={100} placeholder="severity 75" onInput={(event) => setName(event.currentTarget.value)} />
        </label>
      </div>
      {config.data && (
        <label class="actions">
          <input type="checkbox" checked={isOther} onChange={() => setOther(!isOther)} /> with other settings than the present ones
        </label>
      )}
      {isOther && <Toml text={toml} problems={[]} onChange={setToml} />}
      <p class="actions"><button type="submit" class="primary" disabled={isBusy || !monitor}>Run</button></p>
      {error && <Failure error={error} />}
    </form>
  );
}
