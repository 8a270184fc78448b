// Why an incident has its severity: what the detector says of its most unusual window, in words.

import { useMemo } from "preact/hooks";

import { useGet } from "../../shared/load.ts";
import { withUnit } from "../../shared/numbers.ts";
import { Failure, Time, Waiting } from "../../shared/parts.tsx";
import { chance, severityWords } from "../../shared/severity.tsx";
import type { Incident, Member, Monitor, Observations, Why } from "../../shared/types.ts";
import { place, sentence, sliceQuery } from "../../shared/words.ts";

export interface Peak {
  member: Member;
  /** Start of the most unusual window. */
  time: string;
  severity: number;
}

/** The most unusual window of the most unusual series; `undefined` until it is known. */
export function usePeak(incident: Incident): Peak | undefined {
  const member = incident.members[0];
  const answer = useGet<Observations>(
    member ? `monitors/${encodeURIComponent(incident.monitor)}/observations` : null,
    member && { measure: member.measure, ...sliceQuery(member.slice), from: member.opened_at, to: member.until, limit: 10_000 },
  );
  return useMemo(() => {
    if (!member || !answer.data) return undefined;
    const height = (one: { severity: number | null; minor: number | null }) =>
      (one.severity ?? 0) + (incident.kind === "minor" ? (one.minor ?? 0) : 0) + (one.minor ?? 0) / 1000;
    const [worst] = answer.data.observations.toSorted((one, other) => height(other) - height(one));
    return worst && { member, time: worst.time, severity: worst.severity ?? 0 };
  }, [member, answer.data]);
}

export function WhySeverity({ incident, peak, monitor }: { incident: Incident; peak: Peak; monitor: Monitor | undefined }) {
  const { member, time } = peak;
  const why = useGet<Why>("explain", { monitor: incident.monitor, measure: member.measure, ...sliceQuery(member.slice), time });
  const unit = monitor?.measures.find(({ name }) => name === member.measure)?.unit ?? null;
  const number = incident.kind === "minor" ? incident.minor : incident.severity.peak;
  if (why.error) return <Failure error={why.error} retry={why.reload} />;
  if (!why.data) return <Waiting height={96} label="Asking the detector" />;
  const { text, comparisons, held_back, value, expected } = why.data;
  return (
    <div class="why">
      <p>
        The most unusual window is that of {member.measure} in {place(member.slice, "everything")} at{" "}
        <Time at={time} zone={monitor?.zone} />: {withUnit(value, unit)} instead of {withUnit(expected, unit)}. {severityWords(number)}{" "}
        comes {chance(number)}.
      </p>
      <p>{sentence(text)}</p>
      {comparisons.length > 0 && (
        <details>
          <summary>What each comparison found</summary>
          <ul class="points">
            {comparisons.map((line) => (
              <li>{sentence(line)}</li>
            ))}
          </ul>
        </details>
      )}
      {held_back.length > 0 && <p class="soft">Held against it: {held_back.join("; ")}.</p>}
    </div>
  );
}
