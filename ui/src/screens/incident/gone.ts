// How series went over the whole time of an incident, all over the same windows, so that they can be compared.

import { useEffect, useState } from "preact/hooks";

import { get } from "../../shared/api.ts";
import { HOUR, rfc3339 } from "../../shared/time.ts";
import type { Incident, Measure, Monitor, Observation, Observations, Slice } from "../../shared/types.ts";
import { sliceQuery } from "../../shared/words.ts";

export interface Gone {
  measure: Measure;
  slice: Slice;
  /** Sums over the incident of what adds up, else means. */
  actual: number;
  expected: number;
  /** The highest, whether it pages or not. */
  severity: number;
  /** With some time before the incident. */
  observations: Observation[];
}

/** `undefined` until all are known; a series that the server does not keep is left out. */
export function useGone(incident: Incident, monitor: Monitor, series: { measure: Measure; slice: Slice }[]): Gone[] | undefined {
  const [found, setFound] = useState<Gone[]>();
  const key = JSON.stringify([incident.id, incident.until, series.map(({ measure, slice }) => [measure.name, slice])]);
  useEffect(() => {
    let wanted = true;
    const from = Date.parse(incident.opened_at);
    const to = Date.parse(incident.until);
    const start = from - Math.max(3 * HOUR, to - from, 12 * monitor.interval_seconds * 1000);
    const ask = async (measure: Measure, slice: Slice): Promise<Gone[]> => {
      const query = { measure: measure.name, ...sliceQuery(slice), from: rfc3339(start), to: rfc3339(to), limit: 10_000 };
      try {
        const { observations } = await get<Observations>(`monitors/${encodeURIComponent(monitor.name)}/observations`, query);
        const during = observations.filter(({ time }) => Date.parse(time) >= from);
        return [{ measure, slice, observations, ...sums(measure, during) }];
      } catch {
        return []; // the chart says what is wrong with the server
      }
    };
    void Promise.all(series.map(({ measure, slice }) => ask(measure, slice))).then((all) => wanted && setFound(all.flat()));
    return () => {
      wanted = false;
    };
  }, [key]);
  return found;
}

/** Whether a measure's parts add up, so that shares mean something. */
export const addsUp = (measure: Measure | undefined): boolean => /^(count|sum)$/.test(measure?.kind ?? "");

function sums(measure: Measure, observations: Observation[]): Pick<Gone, "actual" | "expected" | "severity"> {
  const adds = addsUp(measure);
  let [actual, expected, weights, severity] = [0, 0, 0, 0];
  for (const one of observations) {
    severity = Math.max(severity, one.severity ?? 0, one.minor ?? 0);
    if (one.value === null || one.expected === null) continue;
    const weight = adds ? 1 : (one.weight ?? 1);
    actual += one.value * weight;
    expected += one.expected * weight;
    weights += weight;
  }
  return adds || !weights ? { actual, expected, severity } : { actual: actual / weights, expected: expected / weights, severity };
}
