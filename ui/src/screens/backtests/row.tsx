// One backtest in the list.

import { useState } from "preact/hooks";

import { type ApiError, remove, url } from "../../shared/api.ts";
import { count, percent } from "../../shared/numbers.ts";
import { Failure, Time } from "../../shared/parts.tsx";
import { isDone } from "./progress.ts";
import type { Backtest } from "./wire.ts";

interface Props {
  backtest: Backtest;
  zone: string | undefined;
  isChosen: boolean;
  onChoose: () => void;
  onRemoved: () => void;
}

export function Row({ backtest, zone, isChosen, onChoose, onRemoved }: Props) {
  const [error, setError] = useState<ApiError | null>(null);
  const { id, name, monitor, state, progress, created_at, incidents, summary } = backtest;
  const title = name || id;
  const isGood = state === "done";
  const take = async (): Promise<void> => {
    try {
      await remove(`backtests/${encodeURIComponent(id)}`);
      onRemoved();
    } catch (failure) {
      setError(failure as ApiError);
    }
  };
  return (
    <li class="backtest">
      <input type="checkbox" checked={isChosen} disabled={!isGood} aria-label={`Compare ${title}`} onChange={onChoose} />
      <div>
        <h2>{isGood ? <a href={`/backtests/${encodeURIComponent(id)}`}>{title}</a> : title}{" "}
          <span class="soft">of {monitor}, <Time at={created_at} zone={zone} /></span>
        </h2>
        {isDone(backtest) ? (
          <p>
            {isGood ? count(incidents ?? 0, "incident") : <b>{state}</b>}{backtest.error && `: ${backtest.error}`}
            {isGood && summary && <span class="soft"> · {summary}</span>}
          </p>
        ) : (
          <p class="actions"><progress value={progress} max={1} aria-label={`Progress of ${title}`} /> {state}, {percent(progress)}</p>
        )}
        {error && <Failure error={error} />}
      </div>
      <div class="actions">
        {isGood && <a class="button" href={url(`backtests/${encodeURIComponent(id)}/report`)} target="_blank" rel="noreferrer">Report</a>}
        <button type="button" onClick={() => void take()} aria-label={`Delete ${title}`}>{isDone(backtest) ? "Delete" : "Stop"}</button>
      </div>
    </li>
  );
}
