// The list of incidents: a slider over a histogram, filters, rows that never move while they are read.

import "./incidents.css";

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import type { ScreenProps } from "../../app/routes.ts";
import { post } from "../../shared/api.ts";
import { useKeys } from "../../shared/keys.ts";
import { useGet } from "../../shared/load.ts";
import { by } from "../../shared/me.ts";
import { count, exact } from "../../shared/numbers.ts";
import { CopyLink, Empty, Failure, Stale, Waiting } from "../../shared/parts.tsx";
import { go, setQuery } from "../../shared/router.ts";
import { severityWords } from "../../shared/severity.tsx";
import { shopNow, useStatus } from "../../shared/status.tsx";
import type { Histogram, Incident } from "../../shared/types.ts";
import { Bar } from "./bar.tsx";
import { chosenOf, type Filters, filtersOf, questionOf } from "./filters.ts";
import { rememberShown, useIncidents } from "./list.ts";
import { incidentHref, useRows } from "./row.tsx";

export default function IncidentsScreen({ place }: ScreenProps) {
  const { data: status } = useStatus();
  const filters = filtersOf(place.query);
  const now = shopNow(status);
  const question = questionOf(filters, now);
  const listed = useIncidents({ ...question, ...(filters.find ? { limit: 500 } : {}) });
  const { min_severity: _, ...rest } = question;
  const histogram = useGet<Histogram>("incidents/histogram", rest, ["incident"]);
  const search = useRef<HTMLInputElement>(null);
  const rows = useMemo(() => found(listed.incidents, filters.find), [listed.incidents, filters.find]);
  const rowOf = useRows();
  const values = useValues(listed.incidents);
  const [selected, select] = useSelection(rows);
  useEffect(() => rememberShown(rows?.map(({ id }) => id) ?? []), [rows]);

  const opened = (suffix = "") => selected && go(incidentHref(selected) + suffix);
  useKeys([
    { key: "j", does: "next incident", run: () => select(1) },
    { key: "k", does: "previous incident", run: () => select(-1) },
    { key: "Enter", does: "open it", run: () => opened() },
    { key: "f", does: "give feedback on it", run: () => opened("?panel=feedback") },
    { key: "m", does: "mute it", run: () => opened("?panel=mute") },
    { key: "a", does: "acknowledge it", run: () => selected && void acknowledge(selected).then(listed.reload) },
    { key: "/", does: "find", run: () => search.current?.focus() },
    { key: "n", does: "show what is new", run: listed.showFresh },
  ]);

  return (
    <>
      <div class="title">
        <h1>{title(filters, rows?.length, listed.more)}</h1>
        <CopyLink />
      </div>
      <Bar filters={filters} monitors={status?.monitors ?? []} histogram={histogram.data} values={values} search={search} />
      <Stale since={listed.staleSince} error={listed.error} />
      <p class="fresh" role="status" aria-live="polite">
        {listed.fresh > 0 && (
          <button type="button" onClick={listed.showFresh}>
            {listed.fresh} new
          </button>
        )}
      </p>
      {!rows && listed.error && <Failure error={listed.error} retry={listed.reload} />}
      {!rows && !listed.error && <Waiting height={400} label="Asking for incidents" />}
      {rows && (
        <div class="list">
          <ol class="rows">
            {rows.map((incident) => rowOf(incident, incident.id === selected, listed.gone.has(incident.id)))}
          </ol>
        </div>
      )}
      {rows?.length === 0 && <WhyEmpty filters={filters} histogram={histogram.data} />}
      {listed.more && (
        <p class="actions">
          <button type="button" disabled={listed.loadingOlder} onClick={listed.older}>
            Show older
          </button>
        </p>
      )}
    </>
  );
}

function title(filters: Filters, shown: number | undefined, more: boolean): string {
  if (shown === undefined) return "Incidents";
  const what = filters.kind === "minor" ? "small or slow incident" : "incident";
  const number = more ? `The newest ${exact(shown)} incidents` : count(shown, what);
  return filters.kind === "" || filters.kind === "deviation" ? `${number} from ${severityWords(filters.severity)}` : number;
}

const acknowledge = (id: string) => post(`incidents/${encodeURIComponent(id)}/acknowledge`, by());

function found(incidents: Incident[] | undefined, words: string): Incident[] | undefined {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  if (!wanted.length) return incidents;
  return incidents?.filter(({ id, summary, assigned_to, monitor }) => {
    const text = `${id} ${summary} ${monitor} ${assigned_to ?? ""}`.toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}

/** Values of dimensions that have been seen in the list, whatever the filters are now. */
function useValues(incidents: Incident[] | undefined): Record<string, string[]> {
  const seen = useRef<Record<string, Set<string>>>({});
  for (const incident of incidents ?? []) {
    for (const slice of [...incident.slices, ...incident.members.map(({ slice }) => slice)]) {
      for (const [dimension, value] of Object.entries(slice)) (seen.current[dimension] ??= new Set()).add(value);
    }
  }
  return Object.fromEntries(Object.entries(seen.current).map(([dimension, values]) => [dimension, [...values]]));
}

/** The row that keys act on. Nothing is selected until a key asks for it. */
function useSelection(rows: Incident[] | undefined): [string | undefined, (step: number) => void] {
  const [selected, setSelected] = useState<string>();
  const move = (step: number) => {
    if (!rows?.length) return;
    const at = rows.findIndex(({ id }) => id === selected);
    const next = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + step))];
    setSelected(next?.id);
    if (next) document.querySelector(`[data-id="${CSS.escape(next.id)}"]`)?.scrollIntoView({ block: "nearest" });
  };
  return [rows?.some(({ id }) => id === selected) ? selected : undefined, move];
}

function WhyEmpty({ filters, histogram }: { filters: Filters; histogram: Histogram | undefined }) {
  const { data } = useStatus();
  const learning = data?.monitors.filter(({ learning }) => learning);
  if (filters.find) return <Empty>No sentence has these words. Only the newest 500 incidents are looked through.</Empty>;
  if (histogram?.total) {
    const lower = Math.max(0, ...histogram.bins.filter((bin) => bin.count).map((bin) => bin.from));
    return (
      <Empty>
        {count(histogram.total, "incident")} match the other filters, the most severe from {severityWords(lower)}.{" "}
        <button type="button" onClick={() => setQuery({ severity: lower })}>
          Lower the slider to {lower}
        </button>
      </Empty>
    );
  }
  if (chosenOf(filters)) return <Empty>No incident matches these filters. “Clear filters” shows all.</Empty>;
  if (learning?.length) {
    return (
      <Empty>
        No incidents yet: {learning.map(({ name }) => name).join(", ")} still {learning.length === 1 ? "learns" : "learn"} what
        is normal. The overview says how long that takes.
      </Empty>
    );
  }
  return <Empty>No incidents: nothing has been out of the ordinary since Tidewatch began to judge.</Empty>;
}
