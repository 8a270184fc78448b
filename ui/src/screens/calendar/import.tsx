// Taking over a calendar file: chosen or pasted.

import { useState } from "preact/hooks";

import { type ApiError, post } from "../../shared/api.ts";
import { count } from "../../shared/numbers.ts";
import { Failure } from "../../shared/parts.tsx";
import type { Monitor } from "../../shared/types.ts";

interface Answer {
  added: number;
  skipped: number | { name?: string; reason: string }[];
  reasons?: string[];
}

export function Import({ monitor, onChanged }: { monitor: Monitor; onChanged: () => void }) {
  const [text, setText] = useState("");
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setBusy] = useState(false);
  const run = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    setAnswer(null);
    try {
      setAnswer(await post<Answer>(`monitors/${encodeURIComponent(monitor.name)}/calendar/import`, text));
      onChanged();
    } catch (failure) {
      setError(failure as ApiError);
    } finally {
      setBusy(false);
    }
  };
  const skipped = Array.isArray(answer?.skipped) ? answer.skipped.map(({ name, reason }) => `${name ? `${name}: ` : ""}${reason}`) : (answer?.reasons ?? []);
  return (
    <form class="entry" aria-label="Import of a calendar file" onSubmit={(event) => { event.preventDefault(); void run(); }}>
      <label class="field"><span>A calendar file (.ics)</span>
        <input type="file" accept=".ics,text/calendar" onChange={async (event) => setText((await event.currentTarget.files?.[0]?.text()) ?? "")} />
      </label>
      <label class="field"><span>or its text</span>
        <textarea class="code" rows={5} value={text} spellcheck={false} placeholder="BEGIN:VCALENDAR …" onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <p class="actions"><button type="submit" class="primary" disabled={isBusy || !text.trim()}>Import</button></p>
      {answer && (
        <div role="status">
          <p>{count(answer.added, "special time")} added{skipped.length ? `, ${skipped.length} left out:` : "."}</p>
          {skipped.length > 0 && <ul class="reasons">{skipped.slice(0, 20).map((reason) => <li key={reason}>{reason}</li>)}</ul>}
        </div>
      )}
      {error && <Failure error={error} />}
    </form>
  );
}
