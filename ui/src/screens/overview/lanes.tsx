// Swim lanes: one cell per bucket of time, the darkest severity in it. Each stretch leads to its incidents.

import { type Loaded, useGet } from "../../shared/load.ts";
import { Failure, Waiting } from "../../shared/parts.tsx";
import { href, setQuery } from "../../shared/router.ts";
import { band, BANDS, severityWords, Shape } from "../../shared/severity.tsx";
import { DAY, HOUR, clock, day, rfc3339, span } from "../../shared/time.ts";
import type { Lanes as LanesAnswer, Monitor } from "../../shared/types.ts";

const HOURS: [string, string][] = [
  ["24", "last 24 hours"],
  ["72", "last 3 days"],
  ["168", "last 7 days"],
  ["672", "last 28 days"],
];
const BUCKETS = 96;

interface Asked {
  lanes: Loaded<LanesAnswer>;
  by: string;
  hours: string;
  dimensions: string[];
}

/** What the address chooses of them; without monitors there is nothing to ask yet. */
export function useLanes(monitors: Monitor[] | undefined, query: URLSearchParams): Asked {
  const dimensions = [...new Set(monitors?.flatMap((monitor) => monitor.dimensions))];
  const by = query.get("by") ?? ((monitors?.length ?? 0) > 1 ? "monitor" : (dimensions[0] ?? "measure"));
  const hours = HOURS.some(([word]) => word === query.get("hours")) ? (query.get("hours") ?? "24") : "24";
  const lanes = useGet<LanesAnswer>(monitors?.length ? "lanes" : null, { by, hours, buckets: BUCKETS }, ["incident"]);
  return { lanes, by, hours, dimensions };
}

export function Lanes({ lanes, by, hours, dimensions }: Asked) {
  return (
    <section aria-labelledby="lanes">
      <div class="section-head">
        <h2 id="lanes">When and where</h2>
        <label>
          <span class="soft">by </span>
          <select value={by} onChange={(event) => setQuery({ by: event.currentTarget.value })}>
            {["monitor", "measure", ...dimensions].map((word) => (
              <option value={word}>{word}</option>
            ))}
          </select>
        </label>
        <label>
          <span class="hidden">Time</span>
          <select value={hours} onChange={(event) => setQuery({ hours: event.currentTarget.value === "24" ? undefined : event.currentTarget.value })}>
            {HOURS.map(([word, title]) => (
              <option value={word}>{title}</option>
            ))}
          </select>
        </label>
      </div>
      {lanes.error && !lanes.data && <Failure error={lanes.error} retry={lanes.reload} />}
      {!lanes.data && !lanes.error && <Waiting height={200} label="Asking for the lanes" />}
      {lanes.data && <Table answer={lanes.data} />}
    </section>
  );
}

function Table({ answer }: { answer: LanesAnswer }) {
  const { lanes, hidden, zone } = answer;
  const from = Date.parse(answer.from);
  const width = answer.bucket_seconds * 1000;
  const buckets = lanes[0]?.cells.length ?? 0;
  return (
    <>
      <div class="lanes">
        <Axis from={from} to={from + buckets * width} zone={zone} />
        <ul>
          {lanes.map((lane) => (
            <li class="lane">
              <span class="lane-name">{lane.name}</span>
              <span class="cells">
                {runs(lane.cells).map(({ start, cells }) => (
                  <Run answer={answer} lane={lane.name} cells={cells} start={from + start * width} left={start / buckets} width={cells.length / buckets} />
                ))}
              </span>
            </li>
          ))}
        </ul>
      </div>
      <p class="legend">
        {BANDS.filter(([word]) => word !== "quiet")
          .reverse()
          .map(([word]) => (
            <span>
              <Shape of={word} /> {word}
            </span>
          ))}
        {hidden > 0 && <span class="soft">{hidden} quieter lanes are not shown</span>}
      </p>
    </>
  );
}

interface RunProps {
  answer: LanesAnswer;
  lane: string;
  cells: number[];
  start: number;
  left: number;
  width: number;
}

/** One stretch without a pause; pressing it lists its incidents. */
function Run({ answer, lane, cells, start, left, width }: RunProps) {
  const end = start + cells.length * answer.bucket_seconds * 1000;
  const worst = Math.max(...cells);
  const narrow =
    lane === "All" ? {} : answer.by === "monitor" || answer.by === "measure" ? { [answer.by]: lane } : { [`slice.${answer.by}`]: lane };
  const words = `${lane}: up to ${severityWords(worst)}, ${span(start, end, answer.zone)}`;
  return (
    <a
      class="run"
      href={href("/incidents", { ...narrow, severity: Math.min(70, Math.floor(worst / 10) * 10), from: rfc3339(start - DAY), to: rfc3339(end) })}
      title={words}
      aria-label={words}
      style={{ left: `${left * 100}%`, width: `${width * 100}%` }}
    >
      {cells.map((severity) => (
        <span class={band(severity)} />
      ))}
    </a>
  );
}

/** Stretches of cells in which something was off. */
function runs(cells: (number | null)[]): { start: number; cells: number[] }[] {
  const found: { start: number; cells: number[] }[] = [];
  cells.forEach((severity, index) => {
    if (severity === null) return;
    const last = found.at(-1);
    if (last && last.start + last.cells.length === index) last.cells.push(severity);
    else found.push({ start: index, cells: [severity] });
  });
  return found;
}

function Axis({ from, to, zone }: { from: number; to: number; zone: string }) {
  const step = to - from > 10 * DAY ? 7 * DAY : to - from > 2 * DAY ? DAY : 4 * HOUR;
  const ticks: number[] = [];
  for (let at = Math.ceil(from / HOUR) * HOUR; at < to; at += HOUR) {
    const [hour = 0] = clock(at, zone).split(":").map(Number);
    if (step < DAY ? hour % 4 === 0 : hour === 0 && (step === DAY || day(at, zone).startsWith("Mon"))) ticks.push(at);
  }
  return (
    <div class="axis" aria-hidden="true">
      {ticks.map((at) => (
        <span style={{ left: `${((at - from) / (to - from)) * 100}%` }}>{step < DAY ? clock(at, zone) : day(at, zone)}</span>
      ))}
    </div>
  );
}
