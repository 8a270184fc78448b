// What the API says, as far as the console reads it. Names are those of /api/v1/openapi.json; they only grow.

export type Slice = Record<string, string>;

export interface Measure {
  name: string;
  kind: string;
  unit: string | null;
}

export interface Source {
  name: string;
  kind: string;
  state: "starting" | "reading" | "caught_up" | "unreachable" | "ended";
  lag_millis: number | null;
  records: number;
  error: string | null;
}

export interface Monitor {
  name: string;
  source: string;
  zone: string;
  interval_seconds: number;
  dimensions: string[];
  measures: Measure[];
  /** The steps of the funnel, where the configuration names them. */
  funnel?: string[];
  closed_through: string | null;
  newest_event: string | null;
  num_series: number;
  num_learning: number;
  learning: { seen: number; needed: number } | null;
  totals: Record<"events" | "counted" | "rejected" | "late" | "after_close" | "over_limit", number>;
  rejected_by_reason: Record<string, number>;
  reject_samples: { partition: string; positions: string; reason: string; detail: string; payload: string }[];
  num_open_incidents: number;
  num_open_windows: number;
  alert_rate: {
    series_judged: number;
    nominal_per_week: number | null;
    is_measured: boolean;
    told_7_days: number;
    told_28_days: number;
  } | null;
}

export interface Status {
  version: string;
  now: string;
  sources: Source[];
  monitors: Monitor[];
}

export interface SeverityTrack {
  first: number;
  peak: number;
  final: number;
}

export interface Impact {
  value: number;
  lower: number;
  upper: number;
  unit: string;
  money: { value: number; lower: number; upper: number; currency: string } | null;
}

export interface Member {
  measure: string;
  slice: Slice;
  direction: "drop" | "rise";
  severity: SeverityTrack;
  minor: number;
  opened_at: string;
  until: string;
  expected: number;
  actual: number;
  num_windows: number;
}

export interface Related {
  measure: string;
  role: "cause" | "effect";
  windows: number;
  share: number;
}

export type Label = "confirmed" | "expected" | "false_alarm" | "new_normal";
export type Scope = "incident" | "series" | "slice" | "measure" | "monitor";
/** `retracted`: with what came late, none of its windows is anomalous. */
export type IncidentState = "open" | "closed" | "retracted";
export type IncidentKind = "deviation" | "minor" | "no_data" | "engine_trouble";

/** An incident in a list, with what people did with it. */
export interface Incident {
  id: string;
  monitor: string;
  kind: IncidentKind;
  state: IncidentState;
  opened_at: string;
  closed_at: string | null;
  until: string;
  severity: SeverityTrack;
  minor: number;
  measure: string | null;
  broken_step: string | null;
  direction: "drop" | "rise" | null;
  slices: Slice[];
  share: number;
  contributions: Record<string, Record<string, number>>;
  related: Related[];
  unknown_cause: number;
  merged_into: string | null;
  expected: number;
  actual: number;
  impact: Impact | null;
  /** What late data made of it. */
  revised?: { at: string; times: number; expected_before: number; actual_before: number } | null;
  summary: string;
  members: Member[];
  num_members: number;
  acknowledged_by: string | null;
  acknowledged_at: string | null;
  assigned_to: string | null;
  mute: { until_millis: number | null; until_severity_above: number | null } | null;
  label: Label | null;
  affected_by_feedback: boolean;
}

export interface TimelineEntry {
  at: string;
  what: string;
  by: string | null;
  severity: number | null;
  text: string | null;
}

export interface Instructed {
  number: number;
  what: string;
  incident: string | null;
  at: string;
  by: string;
  label: Label | null;
  cause: string | null;
  comment: string | null;
  expires_at: string | null;
  num_series: number;
  num_unlearned: number;
  holds: boolean;
}

/** A special time. Without an offset, `from` and `to` are the wall clock of each slice. */
export interface SpecialTime {
  name: string;
  kind: string;
  origin: string;
  from: string;
  to: string;
  scope: Record<string, string[]>;
  uplift?: number;
  class: string;
  number?: number;
  learned?: { measure: string; slice: Slice; uplift: number; times: number }[];
}

export interface IncidentDetail extends Incident {
  timeline: TimelineEntry[];
  feedback: Instructed[];
  events: SpecialTime[];
}

export interface Incidents {
  incidents: Incident[];
  next: string | null;
}

export interface Observation {
  time: string;
  value: number | null;
  low?: number | null;
  high?: number | null;
  weight: number | null;
  expected: number | null;
  lower: number | null;
  upper: number | null;
  severity: number | null;
  minor: number | null;
  affected_by_feedback?: boolean;
  revised?: boolean;
  as_closed?: number;
}

export interface Observations {
  monitor: string;
  measure: string;
  slice: Slice;
  interval_seconds: number;
  zone: string;
  observations: Observation[];
  events: SpecialTime[];
  sampled?: boolean;
  windows_per_point?: number;
}

export interface PreviewedIncident {
  id: string;
  state: IncidentState;
  opened_at: string;
  severity: number;
  summary: string;
  label: Label | null;
}

export interface FeedbackPreview {
  silences: PreviewedIncident[];
  reduces: PreviewedIncident[];
  must_not: PreviewedIncident[];
  windows_without: number;
  windows_with: number;
  num_series: number;
  num_series_looked_at: number;
}

export interface Why {
  monitor: string;
  measure: string;
  slice: Slice;
  from: string;
  to: string;
  value: number | null;
  expected: number | null;
  severity: number | null;
  minor: number | null;
  flagged: boolean;
  text: string;
  held_back: string[];
  comparisons: string[];
  learning: [number, number] | null;
  affected_by_feedback: boolean;
}

export interface Lanes {
  from: string;
  to: string;
  bucket_seconds: number;
  zone: string;
  by: string;
  lanes: { name: string; cells: (number | null)[]; incidents: string[] }[];
  hidden: number;
}

export interface Histogram {
  bins: { from: number; to: number; count: number }[];
  total: number;
}

export interface Delivery {
  id: string;
  incident: string;
  summary: string;
  rule: string | null;
  notifier: string;
  kind: string;
  /** Event time, and when it was made by the wall clock. */
  at: string;
  created_at: string;
  state: "waiting" | "sent" | "given_up";
  attempts: number;
  last_error: string | null;
}

export interface Deliveries {
  deliveries: Delivery[];
  next: string | null;
}

export interface LearningSeries {
  measure: string;
  series: number;
  needed: number;
  seen: number;
  reason: string;
  ready_at: string | null;
}
