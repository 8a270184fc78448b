// What the API says about rules and messages.

import type { Incident } from "../../shared/types.ts";

/** A rule as configured; what is not written is `null` or empty. */
export interface Rule {
  monitor: string;
  name: string;
  severity: number | null;
  budget: string | null;
  to: string[];
  measures?: string[];
  slices?: Record<string, string[]>;
  direction?: string | null;
  min_impact?: number | null;
  min_duration?: string | null;
  schedule?: { days?: string[] | null; from?: string | null; to?: string | null } | null;
  cool_down?: string | null;
  max_per_hour?: number | null;
  digest?: string | null;
}

export interface Notifier {
  name: string;
  kind: string;
  pending: number;
  failed_24h: number;
  last_success: string | null;
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
