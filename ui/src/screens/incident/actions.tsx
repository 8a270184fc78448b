// What can be done with an incident: acknowledge, mute, assign, note. Each says what it did and what follows.

import { useState } from "preact/hooks";

import { ApiError, post } from "../../shared/api.ts";
import { by, myName, rememberName } from "../../shared/me.ts";
import { CopyLink, Menu } from "../../shared/parts.tsx";
import { setQuery } from "../../shared/router.ts";
import { isCertain } from "../../shared/severity.tsx";
import { HOUR } from "../../shared/time.ts";
import type { IncidentDetail, Monitor } from "../../shared/types.ts";

/** Which panel is open, as the address says. */
export type Panel = "" | "feedback" | "mute" | "assign" | "note" | "why";

export const openPanel = (panel: Panel): void => setQuery({ panel: panel || undefined }, { replace: true });

export interface Doing {
  busy: boolean;
  error: ApiError | undefined;
  /** Posts, then renews what is shown. */
  act: (what: string, body?: Record<string, unknown>) => Promise<boolean>;
}

export function useDoing(incident: IncidentDetail | undefined, reload: () => void): Doing {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const act = async (what: string, body: Record<string, unknown> = {}): Promise<boolean> => {
    if (!incident) return false;
    setBusy(true);
    setError(undefined);
    try {
      await post(`incidents/${encodeURIComponent(incident.id)}/${what}`, { ...by(), ...body });
      reload();
      return true;
    } catch (failure) {
      setError(failure instanceof ApiError ? failure : new ApiError(String(failure), 0));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, error, act };
}

interface ActionsProps {
  incident: IncidentDetail;
  monitor: Monitor | undefined;
  panel: Panel;
  doing: Doing;
}

export function Actions({ incident, monitor, panel, doing }: ActionsProps) {
  const open = incident.state === "open";
  const toggle = (wanted: Panel) => openPanel(panel === wanted ? "" : wanted);
  return (
    <div class="deeds" role="group" aria-label="Actions">
      <button
        type="button"
        class={open && !incident.acknowledged_by ? "primary" : ""}
        disabled={doing.busy}
        title={incident.acknowledged_by ? `Acknowledged by ${incident.acknowledged_by}; press to take over` : "Says that you take care of it (a)"}
        onClick={() => void doing.act("acknowledge")}
      >
        {incident.acknowledged_by ? "Acknowledged" : "Acknowledge"}
      </button>
      {!isCertain(incident) && (
        <button type="button" aria-expanded={panel === "feedback"} onClick={() => toggle("feedback")}>
          Feedback
        </button>
      )}
      {open && (
        <Menu label={incident.mute ? "Muted" : "Mute"} open={panel === "mute"} onOpen={(next) => openPanel(next ? "mute" : "")}>
          {() => <MuteChoices incident={incident} monitor={monitor} doing={doing} />}
        </Menu>
      )}
      <Menu label="More" open={panel === "assign" || panel === "note"} onOpen={(next) => openPanel(next ? "note" : "")}>
        {() => <MoreChoices incident={incident} doing={doing} />}
      </Menu>
      <CopyLink address={`/incidents/${encodeURIComponent(incident.id)}`} />
    </div>
  );
}

const QUIET: [string, number][] = [
  ["for 1 hour", HOUR],
  ["for 4 hours", 4 * HOUR],
  ["for 24 hours", 24 * HOUR],
];

function MuteChoices({ incident, monitor, doing }: Omit<ActionsProps, "panel">) {
  const mute = (body: Record<string, unknown>) => void doing.act("mute", body).then((done) => done && openPanel(""));
  const windows = (length: number) => Math.max(1, Math.round(length / ((monitor?.interval_seconds ?? 300) * 1000)));
  return (
    <>
      <p class="soft">Nobody is told meanwhile. Its end is told all the same.</p>
      {incident.mute && (
        <button type="button" onClick={() => mute({ off: true })}>
          End the quiet now
        </button>
      )}
      {QUIET.map(([title, length]) => (
        <button type="button" disabled={doing.busy} onClick={() => mute({ windows: windows(length) })}>
          {title}
        </button>
      ))}
      <button type="button" disabled={doing.busy} onClick={() => mute({ until_worse: true })}>
        until it gets worse than {Math.floor(incident.severity.peak)}
      </button>
    </>
  );
}

function MoreChoices({ incident, doing }: Omit<ActionsProps, "panel" | "monitor">) {
  const [note, setNote] = useState("");
  const [to, setTo] = useState(incident.assigned_to ?? "");
  const then = (done: boolean) => done && openPanel("");
  return (
    <>
      <form
        class="field"
        onSubmit={(event) => {
          event.preventDefault();
          if (note.trim()) void doing.act("note", { text: note.trim() }).then(then);
        }}
      >
        <label class="field">
          <span>Note for the timeline</span>
          <textarea maxLength={4000} value={note} onInput={(event) => setNote(event.currentTarget.value)} />
        </label>
        <button type="submit" disabled={doing.busy || !note.trim()}>
          Add note
        </button>
      </form>
      <form
        class="field"
        onSubmit={(event) => {
          event.preventDefault();
          void doing.act("assign", { to: to.trim() || null }).then(then);
        }}
      >
        <label class="field">
          <span>Assigned to</span>
          <input type="text" value={to} placeholder="nobody in particular" onInput={(event) => setTo(event.currentTarget.value)} />
        </label>
        <button type="submit" disabled={doing.busy}>
          Assign
        </button>
      </form>
      <MyName />
    </>
  );
}

/** Who says all this. Tidewatch has no users: a name is what people give. */
export function MyName() {
  const [name, setName] = useState(myName);
  return (
    <label class="field">
      <span>Your name, kept in this browser</span>
      <input
        type="text"
        autocomplete="nickname"
        placeholder="shown with what you do"
        value={name}
        onInput={(event) => {
          setName(event.currentTarget.value);
          rememberName(event.currentTarget.value);
        }}
      />
    </label>
  );
}
