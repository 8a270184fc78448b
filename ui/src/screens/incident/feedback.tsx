// Feedback in place: four labels, how far it reaches, what it would have done to the stored past, and taking it back.

import { useEffect, useState } from "preact/hooks";

import { ApiError, post } from "../../shared/api.ts";
import { by } from "../../shared/me.ts";
import { count, exact } from "../../shared/numbers.ts";
import { Failure, Time } from "../../shared/parts.tsx";
import { Badge } from "../../shared/severity.tsx";
import { DAY, rfc3339 } from "../../shared/time.ts";
import type { FeedbackPreview, IncidentDetail, Instructed, Label, PreviewedIncident, Scope } from "../../shared/types.ts";
import { LABELS, place, sentence } from "../../shared/words.ts";
import { incidentHref } from "../incidents/row.tsx";
import { MyName } from "./actions.tsx";

const SETTLE_MILLIS = 300;
const SHOWN_MAX = 5;

interface FeedbackProps {
  incident: IncidentDetail;
  zone: string | undefined;
  reload: () => void;
}

export function Feedback({ incident, zone, reload }: FeedbackProps) {
  const [label, setLabel] = useState<Label>();
  const [scope, setScope] = useState<Scope>("incident");
  const [cause, setCause] = useState("");
  const [comment, setComment] = useState("");
  const [days, setDays] = useState(0);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const expires = days && (label === "expected" || label === "false_alarm") ? rfc3339(Date.now() + days * DAY) : undefined;
  const preview = usePreview(incident.id, label, scope);
  const path = `incidents/${encodeURIComponent(incident.id)}/feedback`;

  const give = async () => {
    setBusy(true);
    setError(undefined);
    const words = { cause: cause.trim() || undefined, comment: comment.trim() || undefined };
    try {
      await post(path, { label, scope, ...words, expires_at: expires, ...by() });
      setLabel(undefined);
      setComment("");
      setCause("");
      reload();
    } catch (failure) {
      setError(failure instanceof ApiError ? failure : new ApiError(String(failure), 0));
    }
    setBusy(false);
  };

  return (
    <section class="feedback" aria-labelledby="feedback">
      <h2 id="feedback">What was it?</h2>
      <Given incident={incident} zone={zone} reload={reload} />
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void give();
        }}
      >
        <fieldset class="labels">
          <legend class="hidden">Label</legend>
          {(Object.entries(LABELS) as [Label, { name: string; means: string }][]).map(([value, { name, means }]) => (
            <label class={label === value ? "chosen" : ""}>
              <input type="radio" name="label" checked={label === value} onChange={() => setLabel(value)} />
              <span>
                <b>{name}</b>
                <span class="soft"> {means}</span>
              </span>
            </label>
          ))}
        </fieldset>
        {label && (
          <>
            <div class="fields">
              <label class="field">
                <span>It holds for</span>
                <select value={scope} onChange={(event) => setScope(event.currentTarget.value as Scope)}>
                  {scopes(incident).map(([value, title]) => (
                    <option value={value}>{title}</option>
                  ))}
                </select>
              </label>
              <label class="field">
                <span>Cause, in a word</span>
                <input type="text" placeholder="newsletter" value={cause} onInput={(event) => setCause(event.currentTarget.value)} />
              </label>
              {(label === "expected" || label === "false_alarm") && (
                <label class="field">
                  <span>Its like is silenced</span>
                  <select value={String(days)} onChange={(event) => setDays(Number(event.currentTarget.value))}>
                    <option value="0">until taken back</option>
                    <option value="30">for 30 days</option>
                    <option value="90">for 90 days</option>
                    <option value="365">for a year</option>
                  </select>
                </label>
              )}
            </div>
            <label class="field">
              <span>Comment</span>
              <textarea maxLength={4000} value={comment} onInput={(event) => setComment(event.currentTarget.value)} />
            </label>
            <MyName />
            <Effect preview={preview} label={label} mine={incident.id} />
            {error && <Failure error={error} />}
            <p class="actions">
              <button type="submit" class="primary" disabled={busy}>
                Save feedback
              </button>
              <button type="button" onClick={() => setLabel(undefined)}>
                Cancel
              </button>
              <span class="soft">It can be taken back at any time.</span>
            </p>
          </>
        )}
      </form>
    </section>
  );
}

function scopes(incident: IncidentDetail): [Scope, string][] {
  const first = incident.members[0];
  const slice = place(incident.slices[0] ?? {}, "everything");
  return [
    ["incident", `this incident: ${count(incident.num_members, "series", "series")}`],
    ["series", first ? `only ${first.measure} in ${place(first.slice, "everything")}` : "its most unusual series"],
    ["slice", `every measure of ${slice}`],
    ["measure", `${incident.measure ?? "its measure"} in every slice`],
    ["monitor", `everything that ${incident.monitor} watches`],
  ];
}

type Asked = { preview?: FeedbackPreview; error?: ApiError; pending: boolean };

/** Asks what it would have done, when the choice has rested a little. */
function usePreview(id: string, label: Label | undefined, scope: Scope): Asked {
  const [asked, setAsked] = useState<Asked>({ pending: false });
  useEffect(() => {
    if (!label) {
      setAsked({ pending: false });
      return;
    }
    const control = new AbortController();
    setAsked((before) => ({ ...before, pending: true }));
    const timer = setTimeout(() => {
      post<FeedbackPreview>(`incidents/${encodeURIComponent(id)}/feedback/preview`, { label, scope }, control.signal).then(
        (preview) => setAsked({ preview, pending: false }),
        (failure) => {
          if (!control.signal.aborted) setAsked({ error: failure instanceof ApiError ? failure : new ApiError(String(failure), 0), pending: false });
        },
      );
    }, SETTLE_MILLIS);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [id, label, scope]);
  return asked;
}

function Effect({ preview: { preview, error, pending }, label, mine }: { preview: Asked; label: Label; mine: string }) {
  return (
    <div class={pending ? "effect pending" : "effect"} role="status" aria-live="polite">
      <h3>What it would have done to the stored past</h3>
      {error && <p>It cannot be told now: {error.message}</p>}
      {!preview && !error && <p class="soft">Looking through the stored windows …</p>}
      {preview && <EffectWords preview={preview} label={label} mine={mine} />}
    </div>
  );
}

function EffectWords({ preview, label, mine }: { preview: FeedbackPreview; label: Label; mine: string }) {
  const { windows_with, windows_without, num_series, num_series_looked_at, silences, reduces, must_not } = preview;
  const others = silences.filter(({ id }) => id !== mine);
  const same = windows_with === windows_without;
  return (
    <>
      {must_not.length > 0 && (
        <div class="failure">
          <p>
            <b>It would have silenced what people confirmed as real.</b> Better choose a smaller reach.
          </p>
          <Some list={must_not} />
        </div>
      )}
      <p>
        {same
          ? `No stored window would have been judged otherwise${label === "confirmed" ? ": it tells detectors that they were right" : ""}.`
          : `Anomalous windows: ${exact(windows_without)} without it, ${exact(windows_with)} with it.`}{" "}
        {others.length > 0 && `${count(others.length, "other incident")} would not have been told. `}
        {reduces.length > 0 && `${count(reduces.length, "incident")} would have been smaller.`}
      </p>
      <Some list={others} />
      <p class="soft">
        It reaches {count(num_series, "series", "series")}
        {num_series_looked_at < num_series && `; the ${exact(num_series_looked_at)} most unusual were looked at`}.
      </p>
    </>
  );
}

function Some({ list }: { list: PreviewedIncident[] }) {
  if (!list.length) return null;
  return (
    <ul class="points">
      {list.slice(0, SHOWN_MAX).map(({ id, severity, summary }) => (
        <li>
          <Badge severity={severity} /> <a href={incidentHref(id)}>{sentence(summary)}</a>
        </li>
      ))}
      {list.length > SHOWN_MAX && <li class="soft">and {list.length - SHOWN_MAX} more</li>}
    </ul>
  );
}

/** What was said so far, and taking it back. */
function Given({ incident, zone, reload }: FeedbackProps) {
  const [error, setError] = useState<ApiError>();
  const undo = async (row: Instructed) => {
    setError(undefined);
    try {
      await post(`monitors/${encodeURIComponent(incident.monitor)}/feedback/${row.number}/undo`, by());
      reload();
    } catch (failure) {
      setError(failure instanceof ApiError ? failure : new ApiError(String(failure), 0));
    }
  };
  if (!incident.feedback.length) return null;
  return (
    <>
      <ul class="given" aria-label="Feedback so far">
        {incident.feedback.map((row) => (
          <li class={row.holds ? "" : "undone"}>
            <span>
              <b>{row.label ? LABELS[row.label].name : row.what}</b>
              {[row.cause, row.comment].filter(Boolean).map((text) => `, ${text}`)}{" "}
              <span class="soft">
                by {row.by}, <Time at={row.at} zone={zone} />, {count(row.num_series, "series", "series")}
                {row.expires_at && (
                  <>
                    , until <Time at={row.expires_at} zone={zone} />
                  </>
                )}
                {!row.holds && ", taken back"}
              </span>
            </span>
            {row.holds && (
              <button type="button" onClick={() => void undo(row)}>
                Undo
              </button>
            )}
          </li>
        ))}
      </ul>
      {error && <Failure error={error} />}
    </>
  );
}
