// Incidents in words.

import { against, number } from "./numbers.ts";
import type { Impact, Incident, Label, Slice } from "./types.ts";

/** `country DE, device ios`; the whole is `All`. */
export const place = (slice: Slice, whole = "All"): string =>
  Object.entries(slice)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ") || whole;

/** `DE ios`: values only, for places where the dimensions are known. */
export const placeShort = (slice: Slice, whole = "All"): string => Object.values(slice).join(" ") || whole;

/** The query parameters that name a slice. */
export const sliceQuery = (slice: Slice): Record<string, string> =>
  Object.fromEntries(Object.entries(slice).map(([name, value]) => [`slice.${name}`, value]));

/** The slice that the parameters of an address name. */
export const sliceOf = (query: URLSearchParams): Slice =>
  Object.fromEntries([...query].filter(([name]) => name.startsWith("slice.")).map(([name, value]) => [name.slice(6), value]));

export const sameSlice = (one: Slice, other: Slice): boolean => {
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
};

/** First letter in upper case: sentences of the engine begin with a measure's name. */
export const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Labels as people say them. */
export const LABELS: Record<Label, { name: string; means: string }> = {
  confirmed: { name: "Real problem", means: "Right to tell. Its like is told sooner." },
  expected: { name: "Expected", means: "Real, but known: a sale, a newsletter, a holiday. Its like is not told again." },
  false_alarm: { name: "False alarm", means: "Nothing was wrong. Its like must be rarer to be told again." },
  new_normal: { name: "New normal", means: "This is how it is from now on. What came before counts no more." },
};

const rate = (amount: number): number => Math.abs(amount);

/** `about 1,240 EUR below expected (900 to 1,500)`: signs are words. */
export function cost(impact: Impact): string {
  const { value, lower, upper } = impact.money ?? impact;
  const unit = impact.money?.currency ?? impact.unit;
  const side = value < 0 ? "below" : "above";
  const [least, most] = value < 0 ? [-upper, -lower] : [lower, upper];
  const range = least >= 0 ? `${number(least, 2)} to ${number(most, 2)}` : `up to ${number(most, 2)}, perhaps none`;
  return `about ${number(rate(value))} ${unit} ${side} expected (${range})`;
}

/** `about 1,240 EUR/h`: what it costs while it lasts; empty where nothing adds up. */
export function costPerHour(incident: Incident): string {
  const { impact } = incident;
  const hours = (Date.parse(incident.until) - Date.parse(incident.opened_at)) / 3_600_000;
  if (!impact || !(hours > 0)) return "";
  const value = (impact.money ?? impact).value / hours;
  return `about ${number(rate(value), 2)} ${impact.money?.currency ?? impact.unit}/h ${value < 0 ? "lost" : "more"}`;
}

/** `38 % below expected`. */
export const deviation = (incident: Pick<Incident, "actual" | "expected">): string =>
  against(incident.actual, incident.expected);
