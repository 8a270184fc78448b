// A range that should have been an incident: what saying so does, saying it, and taking it back.

import { useState } from "preact/hooks";

import type { Range } from "../../chart/types.ts";
import { type ApiError, post } from "../../shared/api.ts";
import { by, myName, rememberName } from "../../shared/me.ts";
import { count } from "../../shared/numbers.ts";
import { Failure } from "../../shared/parts.tsx";
import { duration, rfc3339, span } from "../../shared/time.ts";
import type { Instructed } from "../../shared/types.ts";
import type { Chosen } from "./address.ts";

interface Props {
  chosen: Chosen;
  range: Range;
  /** Windows in one point of the chart: a range can only be as fine as what was drawn. */
  onZoom: () => void;
  onClear: () => void;
}

export function Marked({ chosen, range, onZoom, onClear }: Props) {
  const [isReporting, setReporting] = useState(false);
  const { zone } = chosen.monitor;
  return (
    <section class="marked" aria-label="The marked range">
      <div class="actions">
        <p>
          <b>{span(range.from, range.to, zone)}</b> <span class="soft">({duration(range.to - range.from)})</span>
        </p>
        <button type="button" class={isReporting ? "" : "primary"} onClick={onZoom}>Zoom in</button>
        <button type="button" aria-expanded={isReporting} onClick={() => setReporting(!isReporting)}>Report as missed …</button>
        <button type="button" onClick={onClear}>Clear</button>
      </div>
      {isReporting && <Report key={`${range.from} ${range.to}`} chosen={chosen} range={range} />}
    </section>
  );
}

function Report({ chosen, range }: { chosen: Chosen; range: Range }) {
  const [direction, setDirection] = useState("");
  const [comment, setComment] = useState("");
  const [name, setName] = useState(myName());
  const [done, setDone] = useState<Instructed | null>(null);
  const [isUndone, setUndone] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setBusy] = useState(false);
  const { monitor, measure, slice } = chosen;

  const run = async (work: () => Promise<void>): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      await work();
    } catch (failure) {
      setError(failure as ApiError);
    } finally {
      setBusy(false);
    }
  };
  const report = (): Promise<void> =>
    run(async () => {
      rememberName(name);
      const times = { from: rfc3339(range.from), to: rfc3339(range.to) };
      const more = { ...(direction && { direction }), ...(comment.trim() && { comment: comment.trim() }), ...by() };
      setDone(await post<Instructed>("missed", { monitor: monitor.name, measure, slice, ...times, ...more }));
      setUndone(false);
    });
  const undo = (): Promise<void> =>
    run(async () => {
      await post(`monitors/${encodeURIComponent(monitor.name)}/feedback/${done?.number}/undo`, by());
      setUndone(true);
    });

  if (done && !isUndone) {
    return (
      <div role="status" class="said">
        <p>
          Reported. {count(done.num_series, "series", "series")} heard of it, {done.num_unlearned} unlearned the range.
          From the next window on its thresholds are a tenth lower.
        </p>
        <p class="actions">
          <button type="button" disabled={isBusy} onClick={() => void undo()}>Undo</button>
        </p>
        {error && <Failure error={error} />}
      </div>
    );
  }
  return (
    <form class="said" onSubmit={(event) => { event.preventDefault(); void report(); }}>
      <p>
        {isUndone && <b>Taken back: it is as if it had never been said. </b>}
        Saying so makes the series forget this range as normal and lowers its thresholds by a tenth, so that the like of it
        is told sooner. It can be undone at any time.
      </p>
      <div class="fields">
        <label class="field">
          <span>What it was</span>
          <select value={direction} onChange={(event) => setDirection(event.currentTarget.value)}>
            <option value="">the larger deviation</option>
            <option value="drop">too low</option>
            <option value="rise">too high</option>
          </select>
        </label>
        <label class="field">
          <span>Comment</span>
          <input value={comment} maxLength={4000} onInput={(event) => setComment(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span>Your name</span>
          <input value={name} autocomplete="name" onInput={(event) => setName(event.currentTarget.value)} />
        </label>
      </div>
      <p class="actions">
        <button type="submit" class="primary" disabled={isBusy}>Report</button>
      </p>
      {error && <Failure error={error} />}
    </form>
  );
}
