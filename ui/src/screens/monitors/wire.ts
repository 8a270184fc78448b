// What the API says about configuration.

import type { Label, SeverityTrack } from "../../shared/types.ts";

/** A monitor's own tables, as written. */
export interface Config {
  toml: string;
  file: string | null;
  revision: string;
  editable: boolean;
  why_not: string | null;
}

export interface Problem {
  key: string | null;
  line: number | null;
  message: string;
}

export interface ListedIncident {
  /** Empty when nothing like it is stored. */
  id: string;
  opened_at: string;
  severity: number | SeverityTrack;
  summary: string;
  label?: Label | null;
}

/** What settings would have done to the stored past. */
export interface Effect {
  from: string | null;
  to: string | null;
  windows: number;
  /** Incidents opened under the present settings, and under those that are tried. */
  now: number;
  then: number;
  gained: ListedIncident[];
  lost: ListedIncident[];
  confirmed_lost: ListedIncident[];
  note: string | null;
}

export interface Preview {
  valid: boolean;
  problems: Problem[];
  toml: string;
  diff: string[];
  effect: Effect | null;
}

/** Keys and their values; `null` takes a key out. */
export type Change = Record<string, string | number | null>;

export interface Proposal {
  toml: string;
  format: string;
  timestamp: string;
  interval: string;
  dimensions: { name: string; field: string; values: string[] }[];
  measures: { name: string; settings: string }[];
  notes: string[];
}

/** The severity that an incident in a list is shown with. */
export const peakOf = ({ severity }: Pick<ListedIncident, "severity">): number => (typeof severity === "number" ? severity : severity.peak);
