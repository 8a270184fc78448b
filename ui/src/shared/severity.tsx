// Severity: one language everywhere, with number, word and shape; never colour alone. The number is cut, not
// rounded, so that it always agrees with its word.

import { number } from "./numbers.ts";
import type { Incident } from "./types.ts";

export type Band = "quiet" | "slight" | "notable" | "serious" | "critical";

/** The fixed bands, and where each begins. */
export const BANDS: readonly [Band, number][] = [
  ["critical", 90],
  ["serious", 80],
  ["notable", 70],
  ["slight", 50],
  ["quiet", 0],
];

export const band = (severity: number): Band => BANDS.find(([, from]) => severity >= from)?.[0] ?? "quiet";

/** `84 serious`. */
export const severityWords = (severity: number): string => `${Math.floor(severity)} ${band(severity)}`;

/** How often a severity comes by chance: the published map, read backwards. */
export function chance(severity: number): string {
  if (severity >= 100) return "by chance less than once in 1,000 weeks on one series";
  if (severity < 70) return `by chance about ${number(10 ** ((70 - severity) / 20), 2)} times a week on one series`;
  const weeks = 10 ** ((severity - 70) / 10);
  return `by chance about once ${weeks < 1.5 ? "a week" : `in ${number(weeks, 2)} weeks`} on one series`;
}

/** The number an incident is judged by: minor incidents live on their own scale. */
export const judged = (incident: Pick<Incident, "kind" | "minor" | "severity">): number =>
  incident.kind === "minor" ? incident.minor : incident.severity.peak;

/** Kinds that are certain: no series explains them and they have no severity. */
export const isCertain = (incident: Pick<Incident, "kind">): boolean =>
  incident.kind === "no_data" || incident.kind === "engine_trouble";

const SHAPES: Record<Band, preact.JSX.Element> = {
  quiet: <circle cx="8" cy="8" r="5" class="hollow" />,
  slight: <rect x="3" y="3" width="10" height="10" />,
  notable: <path d="M8 1l7 7-7 7-7-7z" />,
  serious: <path d="M8 1.5L15.5 14.5H.5z" />,
  critical: <path d="M5 .5h6L15.5 5v6L11 15.5H5L.5 11V5z" />,
};

/** The shape of a band. */
export function Shape({ of }: { of: Band }) {
  return (
    <svg class={`shape ${of}`} viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
      {SHAPES[of]}
    </svg>
  );
}

/** Shape, number and word of a severity. */
export function Badge({ severity }: { severity: number }) {
  const of = band(severity);
  return (
    <span class="badge" title={`${severityWords(severity)}: ${chance(severity)}`}>
      <Shape of={of} />
      <b>{Math.floor(severity)}</b> {of}
    </span>
  );
}

/** The badge of an incident; what is certain is hatched and has no number. */
export function IncidentBadge({ incident }: { incident: Pick<Incident, "kind" | "minor" | "severity"> }) {
  if (!isCertain(incident)) return <Badge severity={judged(incident)} />;
  const silent = incident.kind === "no_data";
  const title = silent
    ? "The source cannot be read, so nothing can be said."
    : "Most of what is sent cannot be used, so little can be said.";
  return (
    <span class="badge" title={title}>
      <i class="shape hatched" />
      {silent ? "no data" : "engine trouble"}
    </span>
  );
}
