// Special times in words.

import { day, fromWallClock, span, toWallClock } from "../../shared/time.ts";
import type { SpecialTime } from "../../shared/types.ts";

/** `Fri 27 Nov` for whole days, else with the time; with the year where that is not the present one. */
export function whenWords({ from, to }: SpecialTime, zone: string, now: number): string {
  const [start, end] = [fromWallClock(from, zone), fromWallClock(to, zone)];
  const year = toWallClock(start, zone).slice(0, 4);
  const suffix = year === toWallClock(now, zone).slice(0, 4) ? "" : ` ${year}`;
  if (!from.endsWith("T00:00:00") || !to.endsWith("T00:00:00")) return span(start, end, zone) + suffix;
  const last = day(end - 1, zone);
  return (last === day(start, zone) ? last : `${day(start, zone)} to ${last}`) + suffix;
}

/** `in country DE, FR`; empty where it holds for everything. */
export function scopeWords({ scope }: SpecialTime): string {
  const parts = Object.entries(scope).map(([name, values]) => `${name} ${values.join(", ")}`);
  return parts.length ? `in ${parts.join("; ")}` : "";
}

const ORIGINS: Record<string, string> = {
  retail: "day of retail",
  public: "public holiday",
  imported: "imported",
  configured: "in the settings",
  entered: "entered here",
};

export const originWords = (origin: string): string => ORIGINS[origin] ?? origin;

/** `80 % more`, `half as much`: a factor in words. */
export function factorWords(factor: number): string {
  if (factor >= 2) return `${Number(factor.toPrecision(2))} times as much`;
  const change = Math.round(Math.abs(factor - 1) * 100);
  return change === 0 ? "as usual" : `${change}\u00a0% ${factor > 1 ? "more" : "less"}`;
}
