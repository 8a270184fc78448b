// What tests ask of the service besides the page: questions to the API, and events of the queue monitor.

import type { Incident, Incidents } from "../src/shared/types.ts";

const service = (): string => process.env["TIDEWATCH_SERVICE"] ?? "";

export async function ask<T>(path: string): Promise<T> {
  const response = await fetch(`${service()}/api/v1/${path}`);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

/** The newest incidents of the simulated shop that would page, the most severe first. */
export async function worst(): Promise<Incident[]> {
  const { incidents } = await ask<Incidents>("incidents?monitor=shop&kind=deviation&min_severity=80&limit=50");
  return incidents.sort((one, other) => other.severity.peak - one.severity.peak);
}

/** The queue of a shop gets longer than it may be, which opens an incident at once. */
export async function overflow(shop: string): Promise<void> {
  const now = Date.now();
  const event = (before: number, depth: number) => ({ at: new Date(now - before).toISOString(), depth, shop });
  // A later event closes the window.
  await post([event(60_000, 10), event(50_000, 10), event(40_000, 99), event(10_000, 99)]);
}

async function post(events: unknown[]): Promise<void> {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(`${service()}/v1/events?source=posts`, { method: "POST", headers, body: JSON.stringify(events) });
  if (!response.ok) throw new Error(`posting events: ${response.status} ${await response.text()}`);
}
