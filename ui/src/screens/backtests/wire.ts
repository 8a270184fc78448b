// What the API says about backtests.

import type { ListedIncident } from "../monitors/wire.ts";

/** One in the list. */
export interface Backtest {
  id: string;
  name: string | null;
  monitor: string;
  state: "queued" | "running" | "done" | "failed" | "stopped";
  /** 0 to 1. */
  progress: number;
  created_at: string;
  incidents: number | null;
  summary: string | null;
  error?: string | null;
}

export interface Result {
  incidents: ListedIncident[];
  summary: Record<string, unknown>;
}

export interface Comparison {
  gained: ListedIncident[];
  lost: ListedIncident[];
  moved: { before: ListedIncident; after: ListedIncident; minutes_later: number }[];
  confirmed_lost: (ListedIncident | string)[];
}
