// One incident: the sentence, the chart that proves it, where it is, what goes with it, and what people do about it.

import "./incident.css";

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

import type { ScreenProps } from "../../app/routes.ts";
import { useKeys } from "../../shared/keys.ts";
import { useGet } from "../../shared/load.ts";
import { CopyLink, Empty, Failure, Stale, Time, Waiting } from "../../shared/parts.tsx";
import { go } from "../../shared/router.ts";
import { band, Badge, IncidentBadge, isCertain, judged } from "../../shared/severity.tsx";
import { monitorOf, useStatus } from "../../shared/status.tsx";
import { clock, duration, near, rfc3339 } from "../../shared/time.ts";
import type { IncidentDetail, Monitor } from "../../shared/types.ts";
import { cost, costPerHour, LABELS } from "../../shared/words.ts";
import { lastShown } from "../incidents/list.ts";
import { headline, incidentHref, reasonOf } from "../incidents/row.tsx";
import { Actions, openPanel, type Panel, useDoing } from "./actions.tsx";
import type { ChartProps } from "./chart.tsx";
import { Feedback } from "./feedback.tsx";
import { Measures } from "./measures.tsx";
import { Around, Timeline } from "./timeline.tsx";
import { Contributions, Where } from "./where.tsx";
import { type Peak, usePeak, WhySeverity } from "./why.tsx";

export default function IncidentScreen({ place, id = "" }: ScreenProps) {
  const { data: status } = useStatus();
  const loaded = useGet<IncidentDetail>(`incidents/${encodeURIComponent(id)}`, {}, ["incident"]);
  const incident = loaded.data;
  const panel = (place.query.get("panel") ?? "") as Panel;
  const doing = useDoing(incident, loaded.reload);
  const monitor = incident && monitorOf(status, incident.monitor);
  useEffect(() => void chart(), []);
  useEffect(() => {
    if (incident) document.title = `${headline(incident)} – Tidewatch`;
  }, [incident?.summary]);

  const toggle = (wanted: Panel) => openPanel(panel === wanted ? "" : wanted);
  useKeys([
    { key: "j", does: "next incident of the list", run: () => step(id, 1) },
    { key: "k", does: "previous incident of the list", run: () => step(id, -1) },
    { key: "a", does: "acknowledge", run: () => void doing.act("acknowledge") },
    { key: "f", does: "give feedback", run: () => toggle("feedback") },
    { key: "m", does: "mute", run: () => incident?.state === "open" && toggle("mute") },
    { key: "w", does: "why this severity", run: () => toggle("why") },
    { key: "Escape", does: "close what is open", run: () => (panel ? openPanel("") : undefined) },
  ]);

  if (loaded.error?.status === 404) {
    return (
      <>
        <h1>No incident {id} here</h1>
        <Empty>
          It belongs to another Tidewatch, or is older than what is kept. <a href="/incidents">All incidents</a>
        </Empty>
      </>
    );
  }
  if (!incident) return loaded.error ? <Failure error={loaded.error} retry={loaded.reload} /> : <Waiting height={600} label="Asking for the incident" />;
  return (
    <article class={`incident ${isCertain(incident) ? "certain" : band(judged(incident))}`}>
      <Stale since={loaded.staleSince} error={loaded.error} />
      <Head incident={incident} monitor={monitor} panel={panel} doing={doing} />
      {doing.error && <Failure error={doing.error} />}
      {panel === "feedback" && !isCertain(incident) && <Feedback incident={incident} zone={monitor?.zone} reload={loaded.reload} />}
      {isCertain(incident) ? (
        <Certain incident={incident} />
      ) : (
        monitor && (
          <>
            <Chart incident={incident} monitor={monitor} query={place.query} />
            <div class="sections">
              <Where incident={incident} monitor={monitor} />
              <Contributions incident={incident} />
              <Measures incident={incident} monitor={monitor} />
              <Timeline incident={incident} zone={monitor.zone} />
              <Around incident={incident} zone={monitor.zone} />
            </div>
          </>
        )
      )}
      {(isCertain(incident) || !monitor) && <Timeline incident={incident} zone={monitor?.zone} />}
    </article>
  );
}

/** The chart comes after the sentence, into a place that is kept for it. */
function Chart(props: ChartProps) {
  const [Part, setPart] = useState<ComponentType<ChartProps> | null>(() => loadedChart);
  useEffect(() => {
    if (!Part) void chart().then((made) => setPart(() => made));
  }, []);
  return Part ? <Part {...props} /> : <div class="series-place" />;
}

let loadedChart: ComponentType<ChartProps> | null = null;

/** Fetches the code of the chart, once. */
export const chart = async (): Promise<ComponentType<ChartProps>> => (loadedChart ??= (await import("./chart.tsx")).IncidentChart);

function step(id: string, by: number): void {
  const next = lastShown[lastShown.indexOf(id) + by];
  if (lastShown.includes(id) && next !== undefined) go(incidentHref(next), { replace: true });
}

interface HeadProps {
  incident: IncidentDetail;
  monitor: Monitor | undefined;
  panel: Panel;
  doing: ReturnType<typeof useDoing>;
}

function Head({ incident, monitor, panel, doing }: HeadProps) {
  const peak = usePeak(incident);
  return (
    <header class="head">
      <p class="crumb">
        <a href="/incidents">Incidents</a> <span class="soft">{incident.id}</span>
        <CopyLink address={incidentHref(incident.id)} />
      </p>
      <div class="sentence">
        <IncidentBadge incident={incident} />
        <h1>{headline(incident)}</h1>
      </div>
      <Facts incident={incident} monitor={monitor} peak={peak} panel={panel} />
      <Actions incident={incident} monitor={monitor} panel={panel} doing={doing} />
      {panel === "why" && peak && <WhySeverity incident={incident} peak={peak} monitor={monitor} />}
    </header>
  );
}

function Facts({ incident, monitor, peak, panel }: Omit<HeadProps, "doing"> & { peak: Peak | undefined }) {
  const { severity, state, impact } = incident;
  const zone = monitor?.zone;
  const found = incident.timeline.find(({ what }) => what === "opened");
  const after = found ? Date.parse(found.at) - Date.parse(incident.opened_at) : NaN;
  const number = Math.floor(judged(incident));
  return (
    <ul class="facts">
      <li>
        <b>{state === "retracted" ? "taken back" : state}</b>
        {state === "open"
          ? `, ${duration(Date.parse(incident.until) - Date.parse(incident.opened_at))} so far`
          : `, lasted ${duration(Date.parse(incident.until) - Date.parse(incident.opened_at))} until `}
        {state !== "open" && (
          <Time at={incident.until} zone={zone}>
            {near(incident.until, incident.opened_at, zone)}
          </Time>
        )}
      </li>
      {incident.revised && (
        <li title="Events came late; the numbers are those known now">
          late data revised it at <Time at={incident.revised.at} zone={zone}>{near(incident.revised.at, incident.opened_at, zone)}</Time>
        </li>
      )}
      {after >= 0 && <li title="From the start of the first anomalous window to when it was opened">found after {duration(after)}</li>}
      {!isCertain(incident) && (
        <li class="track">
          first <Badge severity={severity.first} /> peak <Badge severity={severity.peak} />
          <span class="soft peak-at">{peak ? `at ${clock(peak.time, zone)}` : ""}</span> {state === "open" ? "now" : "last"}{" "}
          <Badge severity={severity.final} />
          {peak && (
            <button type="button" class="plain link" aria-expanded={panel === "why"} onClick={() => openPanel(panel === "why" ? "" : "why")}>
              why {number}?
            </button>
          )}
        </li>
      )}
      {impact && (
        <li>
          {cost(impact)}
          {costPerHour(incident) && `, ${costPerHour(incident)}`}
        </li>
      )}
      {incident.kind === "minor" && <li>small or slow: it pages nobody</li>}
      {incident.acknowledged_by && (
        <li>
          acknowledged by {incident.acknowledged_by}
          {incident.acknowledged_at && <span class="soft"> <Time at={incident.acknowledged_at} zone={zone} /></span>}
        </li>
      )}
      {incident.assigned_to && <li>assigned to {incident.assigned_to}</li>}
      {incident.mute && <li>muted {muteWords(incident.mute, zone)}</li>}
      {incident.label && <li>{LABELS[incident.label].name}</li>}
      {incident.affected_by_feedback && <li>feedback changes how its like is judged</li>}
      {incident.merged_into && (
        <li>
          part of <a href={incidentHref(incident.merged_into)}>{incident.merged_into}</a>
        </li>
      )}
    </ul>
  );
}

function muteWords(mute: NonNullable<IncidentDetail["mute"]>, zone: string | undefined) {
  if (mute.until_millis !== null) return <>until <Time at={rfc3339(mute.until_millis)} zone={zone} /></>;
  if (mute.until_severity_above !== null) return `until it is above ${Math.floor(mute.until_severity_above)}`;
  return "for good";
}

function Certain({ incident }: { incident: IncidentDetail }) {
  return (
    <p class="note">
      {reasonOf(incident) && (
        <>
          <b>{reasonOf(incident)}</b>
          <br />
        </>
      )}
      {incident.kind === "no_data"
        ? "The source cannot be read, so nothing is known of the shop since then. This is not a drop to zero."
        : "Most of what is sent cannot be used, so what is counted says little. The overview shows what was refused and why."}
    </p>
  );
}
