// The same as a table: for screen readers, for copying, for those who want the numbers.

import { useState } from "preact/hooks";

import { number, withUnit } from "../shared/numbers.ts";
import { severityWords } from "../shared/severity.tsx";
import { ANOMALOUS, lowerBound } from "./model.ts";
import type { Range, SeriesData } from "./types.ts";
import { when } from "./words.ts";

interface Props {
  data: SeriesData;
  view: Range;
  unit: string | null;
  label: string;
}

/** Rows beyond this are more than anybody reads; zoom in to see them. */
const ROWS_MAX = 300;

export function Table({ data, view, unit, label }: Props) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details class="chart-table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Show as a table</summary>
      {isOpen && <Rows data={data} view={view} unit={unit} label={label} />}
    </details>
  );
}

function Rows({ data, view, unit, label }: Props) {
  const all = data.points.slice(lowerBound(data.points, view.from), lowerBound(data.points, view.to)).toReversed();
  return (
    <div class="chart-rows" tabIndex={0} role="region" aria-label={`Table of ${label}`}>
      <table>
        <caption class="soft">
          {label}, newest first{all.length > ROWS_MAX ? `; the first ${ROWS_MAX} of ${all.length}, zoom in for the others` : ""}
        </caption>
        <thead>
          <tr>
            <th scope="col">{data.zone}</th>
            <th scope="col">Actual</th>
            <th scope="col">Expected</th>
            <th scope="col">Band</th>
            <th scope="col">Severity</th>
          </tr>
        </thead>
        <tbody>
          {all.slice(0, ROWS_MAX).map((point) => (
            <tr key={point.time}>
              <th scope="row">{when(point, data)}</th>
              <td>{point.value === null ? "no data" : withUnit(point.value, unit)}</td>
              <td>{number(point.expected)}</td>
              <td>{point.lower === null ? "–" : `${number(point.lower)} to ${number(point.upper)}`}</td>
              <td>{point.severity !== null && point.severity >= ANOMALOUS ? severityWords(point.severity) : ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
