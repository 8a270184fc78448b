// What settings would have done to the stored past, in words and as lists.

import { count } from "../../shared/numbers.ts";
import { Badge } from "../../shared/severity.tsx";
import { dayClock, duration } from "../../shared/time.ts";
import { sentence } from "../../shared/words.ts";
import type { Editor } from "./use-editor.ts";
import { type Effect, type ListedIncident, peakOf, type Problem } from "./wire.ts";

/** `7 incidents in the last 30 days, 3 more than now; none of your confirmed ones is lost.` */
export function effectWords(effect: Effect, isChanged: boolean): string {
  const { from, to, now, then, confirmed_lost } = effect;
  const length = from && to ? Date.parse(to) - Date.parse(from) : 0;
  const time = length > 0 ? `in the last ${duration(length)}` : "in what is stored";
  if (!isChanged) return `As they are, the settings opened ${count(now, "incident")} ${time}.`;
  const apart = then === now ? "as many as now" : `${Math.abs(then - now)} ${then > now ? "more" : "fewer"} than now`;
  const lost = confirmed_lost.length === 0 ? "none of your confirmed ones is lost" : `${confirmed_lost.length} of your confirmed ones would be lost`;
  return `These settings would have opened ${count(then, "incident")} ${time}, ${apart}; ${lost}.`;
}

export function EffectSentence({ editor }: { editor: Editor }) {
  const { preview, isFresh, isChanged, error } = editor;
  if (!isFresh) return error ? null : <p class="sentence soft">Judging the stored windows again …</p>;
  if (preview && !preview.valid) return <p>Nothing can be said before this is mended.</p>;
  const effect = preview?.effect;
  return (
    <p class={effect?.confirmed_lost.length ? "sentence warned" : "sentence"}>
      {effect ? effectWords(effect, isChanged) : preview ? "The stored past cannot be judged again." : ""}
    </p>
  );
}

export function EffectLists({ editor, zone }: { editor: Editor; zone: string }) {
  const effect = editor.isFresh && editor.preview?.valid ? editor.preview.effect : null;
  if (!effect) return null;
  const { confirmed_lost, gained, lost, note } = effect;
  return (
    <>
      {note && editor.isChanged && <p class="soft">{note}</p>}
      {editor.isChanged && (
        <>
          <Listed title="Confirmed incidents that would be lost" incidents={confirmed_lost} zone={zone} />
          <Listed title="Gained" incidents={gained} zone={zone} />
          <Listed title="Lost" incidents={lost.filter(({ id }) => !confirmed_lost.some((other) => other.id === id))} zone={zone} />
        </>
      )}
    </>
  );
}

/** Incidents shown at most; more is a reason to zoom out and not to scroll. */
const SHOWN_MAX = 12;

export function Listed({ title, incidents, zone }: { title: string; incidents: ListedIncident[]; zone: string }) {
  if (incidents.length === 0) return null;
  return (
    <div class="listed">
      <h3>{title} ({incidents.length})</h3>
      <ul>
        {incidents.slice(0, SHOWN_MAX).map((incident) => (
          <li key={incident.id + incident.opened_at}>
            <Badge severity={peakOf(incident)} />{" "}
            {incident.id ? <a href={`/incidents/${encodeURIComponent(incident.id)}`}>{sentence(incident.summary)}</a> : sentence(incident.summary)}{" "}
            <span class="soft">{dayClock(incident.opened_at, zone)}</span>
          </li>
        ))}
      </ul>
      {incidents.length > SHOWN_MAX && <p class="soft">and {incidents.length - SHOWN_MAX} more</p>}
    </div>
  );
}

export function ProblemList({ problems }: { problems: Problem[] }) {
  if (problems.length === 0) return null;
  return (
    <ul class="problems" role="alert">
      {problems.map(({ key, line, message }) => (
        <li key={`${key}${line}${message}`}>
          {line !== null && <b>Line {line}: </b>}
          {message}
          {key && !message.includes(key) && <span class="soft"> ({key})</span>}
        </li>
      ))}
    </ul>
  );
}
