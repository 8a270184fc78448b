// What the API says about rules and messages.

import type { Incident } from "../../shared/types.ts";

/** A rule as configured. */
export interface Rule {
  monitor: string;
  name: string;
  /** The least severity it tells, or the false alarms a week it may cost. */
  severity: number | null;
  budget_per_week: number | null;
  /** What that means with the series judged now. */
  severity_now: number;
  to: string[];
  measures: string[];
  slices: Record<string, string[]>;
  direction: "drop" | "rise" | null;
  min_impact: number;
  duration: { windows: number; of: number } | null;
  schedule: { days: string[]; from: string; to: string; zone: string } | null;
  mutes: { from: string; to: string }[];
  events: string[] | null;
  cool_down_seconds: number;
  max_per_hour: number | null;
  digest: "hour" | "day" | null;
}

export interface Notifier {
  name: string;
  kind: string;
  pending: number;
  failed_24h: number;
  last_success: string | null;
  last_error: string | null;
}

export interface TestOutcome {
  ok: boolean;
  error: string | null;
  took_millis: number;
}

export interface Delivery {
  id: string;
  incident: string;
  summary: string;
  rule: string | null;
  notifier: string;
  kind: string;
  created_at: string;
  settled_at: string | null;
  state: "waiting" | "sent" | "given_up";
  attempts: number;
  last_error: string | null;
}

/** What rules would have told. */
export interface RulePreview {
  from: string | null;
  to: string | null;
  num_windows: number;
  alerts: { rule: string; to: string[]; kind: string; at: string; held_back: number; num_events: number; incident: Incident }[];
  held_back: { cap: number; cool_down: number; schedule: number };
}
