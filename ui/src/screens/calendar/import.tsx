// Taking over a calendar file: chosen or pasted.

import { useState } from "preact/hooks";

import { type ApiError, post } from "../../shared/api.ts";
import { by } from "../../shared/me.ts";
import { count } from "../../shared/numbers.ts";
import { Failure } from "../../shared/parts.tsx";
import type { Monitor } from "../../shared/types.ts";

interface Answer {
  added: number;
  skipped: { line: number | null; summary: string; reason: string }[];
  num_skipped: number;
}

const KINDS = ["promotion", "holiday", "deploy", "outage"];

export function Import({ monitor, onChanged }: { monitor: Monitor; onChanged: () => void }) {
  const [text, setText] = useState("");
  const [name, setName] = useState("");
  const [kind, setKind] = useState("promotion");
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setBusy] = useState(false);
  const run = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    setAnswer(null);
    try {
      const asked = new URLSearchParams({ kind, ...(name.trim() && { name: name.trim() }), ...by() });
      const path = `monitors/${encodeURIComponent(monitor.name)}/calendar/import?${asked}`;
      setAnswer(await post<Answer>(path, new Blob([text], { type: "text/calendar" })));
      onChanged();
    } catch (failure) {
      setError(failure as ApiError);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form class="entry" aria-label="Import of a calendar file" onSubmit={(event) => { event.preventDefault(); void run(); }}>
      <div class="fields">
        <label class="field"><span>A calendar file (.ics)</span>
          <input type="file" accept=".ics,text/calendar" onChange={async (event) => setText((await event.currentTarget.files?.[0]?.text()) ?? "")} />
        </label>
        <label class="field"><span>Its name</span>
          <input value={name} maxLength={100} placeholder="calendar" onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <label class="field"><span>What its events are, where it does not say</span>
          <select value={kind} onChange={(event) => setKind(event.currentTarget.value)}>
            {KINDS.map((one) => <option key={one} value={one}>{one}</option>)}
          </select>
        </label>
      </div>
      <label class="field"><span>or its text</span>
        <textarea class="code" rows={5} value={text} spellcheck={false} placeholder="BEGIN:VCALENDAR …" onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <p class="actions"><button type="submit" class="primary" disabled={isBusy || !text.trim()}>Import</button></p>
      {answer && (
        <div role="status">
          <p>{count(answer.added, "special time")} added{answer.num_skipped > 0 ? `, ${answer.num_skipped} left out or changed:` : "."}</p>
          {answer.skipped.length > 0 && (
            <ul class="reasons">
              {answer.skipped.slice(0, 20).map(({ line, summary, reason }) => (
                <li key={`${line}${summary}`}>{summary || "an event"}{line !== null && ` (line ${line})`}: {reason}</li>
              ))}
            </ul>
          )}
        </div>
      )}
      {error && <Failure error={error} />}
    </form>
  );
}
