// How every measure went in the slice of the incident: the steps of the funnel first, then the rest; and what usually
// goes with the primary one.

import { change, percent, withUnit } from "../../shared/numbers.ts";
import { Badge } from "../../shared/severity.tsx";
import type { Incident, Monitor, Observation, Slice } from "../../shared/types.ts";
import { place } from "../../shared/words.ts";
import { type Gone, useGone } from "./gone.ts";
import { explorerHref } from "./links.ts";

const MEASURES_MAX = 12;

export function Measures({ incident, monitor }: { incident: Incident; monitor: Monitor }) {
  const slice = incident.slices[0] ?? {};
  const measures = monitor.measures.slice(0, MEASURES_MAX);
  const rows = useGone(incident, monitor, measures.map((measure) => ({ measure, slice })));
  const [steps, rest] = rows ? funnel(rows, monitor) : [[], []];
  return (
    <section aria-labelledby="measures">
      <h2 id="measures">Every measure here</h2>
      <p class="soft">
        {place(slice)}
        {incident.broken_step && (
          <>
            {" "}
            · broke first at <b>{incident.broken_step}</b>
          </>
        )}
      </p>
      <ol class="measures" style={{ minHeight: `${Math.min(monitor.measures.length, MEASURES_MAX) * 33}px` }}>
        {[...steps, ...rest].map((row) => (
          <Row key={row.measure.name} row={row} incident={incident} slice={slice} step={steps.includes(row)} />
        ))}
      </ol>
      <Related incident={incident} />
    </section>
  );
}

function Row({ row, incident, slice, step }: { row: Gone; incident: Incident; slice: Slice; step: boolean }) {
  const { measure, actual, expected, severity } = row;
  const off = severity >= 50;
  return (
    <li class={off ? "off" : ""}>
      <a href={explorerHref(incident, slice, measure.name)} title={step ? "A step of the funnel; open in the explorer" : "Open in the explorer"}>
        {measure.name}
      </a>
      <Spark row={row} from={Date.parse(incident.opened_at)} />
      <span class="figure" title={`${withUnit(actual, measure.unit)} instead of ${withUnit(expected, measure.unit)}`}>
        {off ? change(actual, expected) : <span class="soft">as expected</span>}
      </span>
      {off ? <Badge severity={severity} /> : <span />}
    </li>
  );
}

/** A line of the last hours without axes: only its form is meant. */
function Spark({ row, from }: { row: Gone; from: number }) {
  const points = row.observations.filter((one): one is Observation & { value: number } => one.value !== null);
  const times = points.map(({ time }) => Date.parse(time));
  const [first = 0, last = 1] = [times[0], times.at(-1)];
  const most = Math.max(...points.map(({ value }) => value), ...row.observations.map(({ expected }) => expected ?? 0)) || 1;
  const x = (time: number) => ((time - first) / Math.max(1, last - first)) * 120;
  const y = (value: number) => 22 - (value / most) * 20;
  const path = (values: [number, number][]) => values.map(([time, value], i) => `${i ? "L" : "M"}${x(time).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const expected = row.observations.flatMap(({ time, expected: value }): [number, number][] => (value === null ? [] : [[Date.parse(time), value]]));
  return (
    <svg class="spark" viewBox="0 0 120 24" width="120" height="24" aria-hidden="true">
      <rect class="span" x={x(from)} y="0" width={Math.max(0, 120 - x(from))} height="24" />
      <path class="expected" d={path(expected)} />
      <path class="actual" d={path(points.map(({ value }, index) => [times[index] ?? 0, value]))} />
    </svg>
  );
}

function Related({ incident }: { incident: Incident }) {
  const worth = incident.related.filter(({ share }) => share >= 0.1);
  if (!worth.length) return null;
  return (
    <p>
      Usually moves with it:{" "}
      {worth.map(({ measure, role, windows, share }, index) => (
        <span>
          {index > 0 && ", "}
          {measure} <span class="soft">
            ({role === "cause" ? "goes ahead" : "follows"} by {windows === 1 ? "one window" : `${windows} windows`}, {percent(share)} of the
            variation)
          </span>
        </span>
      ))}
      . <span class="soft">Learned from the past; no proof.</span>
    </p>
  );
}

/** The steps in the order in which visitors pass them, as the engine takes them: counts, the largest first. */
function funnel(rows: Gone[], monitor: Monitor): [Gone[], Gone[]] {
  const named = monitor.funnel;
  const isStep = ({ measure }: Gone) => (named?.length ? named.includes(measure.name) : measure.kind === "count");
  const size = named?.length ? (row: Gone) => -named.indexOf(row.measure.name) : (row: Gone) => row.expected;
  return [rows.filter(isStep).sort((one, other) => size(other) - size(one)), rows.filter((row) => !isStep(row))];
}
