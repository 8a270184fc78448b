// What is under the pointer, in a place of its own, so that nothing covers the line and nothing jumps.

import { number, withUnit } from "../shared/numbers.ts";
import { Badge } from "../shared/severity.tsx";
import { clock, dayClock } from "../shared/time.ts";
import type { GhostPoint, Point, SeriesData } from "./types.ts";
import { when } from "./words.ts";

interface Props {
  point: Point | undefined;
  data: SeriesData | null;
  unit: string | null;
  ghost: readonly GhostPoint[] | null;
  hovering: boolean;
}

export function Readout({ point, data, unit, ghost, hovering }: Props) {
  if (!data || !point) return <div class="chart-read soft">{data ? "No windows in this span." : ""}</div>;
  const week = ghost?.find(({ time }) => Math.abs(time - point.time) <= (data.windowMillis * data.windowsPerPoint) / 2);
  return (
    <div class="chart-read" data-hovering={hovering}>
      <p>
        <b>{when(point, data)}</b>{" "}
        <span class="soft">
          {data.zone} · {clock(point.time, "UTC")} UTC · {dayClock(point.time)} your time
          {data.windowsPerPoint > 1 && ` · zoom in to see each of ${data.windowsPerPoint} windows`}
        </span>
      </p>
      <dl>
        <div>
          <dt>
            <i class="key actual" /> actual
          </dt>
          <dd>{point.value === null ? "no data" : withUnit(point.value, unit)}</dd>
        </div>
        <div>
          <dt>
            <i class="key expected" /> expected
          </dt>
          <dd>{point.expected === null ? "learning" : withUnit(point.expected, unit)}</dd>
        </div>
        {point.lower !== null && point.upper !== null && (
          <div>
            <dt>
              <i class="key band" /> band
            </dt>
            <dd>
              {number(point.lower)} to {number(point.upper)}
            </dd>
          </div>
        )}
        {ghost && (
          <div>
            <dt>
              <i class="key ghost" /> a week before
            </dt>
            <dd>{number(week?.value)}</dd>
          </div>
        )}
        {point.severity !== null && (
          <div>
            <dt class="hidden">severity</dt>
            <dd>
              <Badge severity={point.severity} />
            </dd>
          </div>
        )}
        {point.silenced && <div class="soft">kept quiet by feedback</div>}
        {point.revised && <div class="soft">revised by late records, judged as {point.asClosed == null ? "a gap" : number(point.asClosed)}</div>}
      </dl>
    </div>
  );
}
