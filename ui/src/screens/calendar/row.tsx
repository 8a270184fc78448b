// One special time: when, for what, what was learned from it; entered ones can be taken out and put back.

import { useState } from "preact/hooks";

import { type ApiError, post, remove } from "../../shared/api.ts";
import { by } from "../../shared/me.ts";
import { count } from "../../shared/numbers.ts";
import { Failure } from "../../shared/parts.tsx";
import type { Monitor, SpecialTime } from "../../shared/types.ts";
import { place } from "../../shared/words.ts";
import { factorWords, originWords, scopeWords, whenWords } from "./words.ts";

const LEARNED_SHOWN = 4;

interface Props {
  time: SpecialTime;
  monitor: Monitor;
  now: number;
  /** How many times were entered together with it: they can only be taken out together. */
  together: number;
  onChanged: () => void;
}

export function TimeRow({ time, monitor, now, together, onChanged }: Props) {
  const [isGone, setGone] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const path = `monitors/${encodeURIComponent(monitor.name)}/events`;
  const run = async (work: () => Promise<unknown>): Promise<boolean> => {
    setBusy(true);
    setError(null);
    try {
      await work();
      return true;
    } catch (failure) {
      setError(failure as ApiError);
      return false;
    } finally {
      setBusy(false);
    }
  };
  const takeOut = async (): Promise<void> => {
    if (!(await run(() => remove(`${path}/${time.number}`)))) return;
    if (together > 1) onChanged();
    else setGone(true);
  };
  const putBack = async (): Promise<void> => {
    const { name, kind, from, to, scope, uplift } = time;
    if (await run(() => post(path, { name, kind, from, to, scope, ...(uplift != null && { uplift }), ...by() }))) {
      setGone(false);
      onChanged();
    }
  };
  const learned = time.learned ?? [];
  return (
    <li class={isGone ? "time gone" : "time"}>
      <span class="when">{whenWords(time, monitor.zone, now)}</span>
      <div>
        <p>
          <b>{time.name}</b> <span class="soft">{[time.kind, scopeWords(time), originWords(time.origin)].filter(Boolean).join(", ")}</span>
        </p>
        {time.uplift != null && <p class="soft">Expected {factorWords(time.uplift)}, as was said</p>}
        {learned.length > 0 && (
          <p class="soft">
            Learned: {learned.slice(0, LEARNED_SHOWN).map(({ measure, slice, uplift, times }) =>
              `${measure}${Object.keys(slice).length ? ` (${place(slice)})` : ""} ${factorWords(uplift)}, seen ${count(times, "time")}`).join("; ")}
            {learned.length > LEARNED_SHOWN && `; and ${learned.length - LEARNED_SHOWN} more series`}
          </p>
        )}
        {isGone && <p role="status">Taken out: windows from the next on do not know it.</p>}
        {error && <Failure error={error} />}
      </div>
      {time.number != null && (
        isGone
          ? <button type="button" disabled={isBusy} onClick={() => void putBack()} aria-label={`Put ${time.name} back`}>Undo</button>
          : <button type="button" disabled={isBusy} onClick={() => void takeOut()} aria-label={`Take ${time.name} out`}>
              {together > 1 ? `Take out all ${together} of its import` : "Take out"}
            </button>
      )}
    </li>
  );
}
