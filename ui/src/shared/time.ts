// Time is the shop's time; UTC and the viewer's own are in the tooltip.

const formats = new Map<string, Intl.DateTimeFormat>();

/** A moment: RFC 3339, or milliseconds since the Unix epoch. */
export type Moment = string | number;

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** Milliseconds since the Unix epoch. */
export const millis = (moment: Moment): number => (typeof moment === "number" ? moment : Date.parse(moment));

/** RFC 3339 in UTC, as the API reads it. */
export const rfc3339 = (moment: Moment): string => new Date(millis(moment)).toISOString();

function format(zone: string | undefined, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${zone} ${Object.keys(options)}`;
  let made = formats.get(key);
  if (!made) {
    try {
      made = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone });
    } catch {
      made = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: "UTC" });
    }
    formats.set(key, made);
  }
  return made;
}

/** `14:05`. */
export const clock = (moment: Moment, zone?: string): string =>
  format(zone, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(millis(moment));

/** `Tue 3 Mar`. */
export const day = (moment: Moment, zone?: string): string =>
  format(zone, { weekday: "short", day: "numeric", month: "short" }).format(millis(moment)).replace(",", "");

/** `Tue 3 Mar 14:05`. */
export const dayClock = (moment: Moment, zone?: string): string => `${day(moment, zone)} ${clock(moment, zone)}`;

/** `14:05` when that is the day of `now`, else `Tue 3 Mar 14:05`. */
export const near = (moment: Moment, now: Moment, zone?: string): string =>
  day(moment, zone) === day(now, zone) ? clock(moment, zone) : dayClock(moment, zone);

/** `Tue 3 Mar 14:05 to 15:30`. */
export const span = (from: Moment, to: Moment, zone?: string): string =>
  `${dayClock(from, zone)} to ${day(from, zone) === day(to, zone) ? clock(to, zone) : dayClock(to, zone)}`;

/** UTC and the viewer's own time, for tooltips. */
export const elsewhere = (moment: Moment): string => `${dayClock(moment, "UTC")} UTC, ${dayClock(moment)} here`;

/** `1 h 25 min`: the two largest units. */
export function duration(length: number): string {
  const seconds = Math.max(0, length / 1000);
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  if (days >= 10 || hours % 24 === 0) return `${days} days`;
  return `${days} d ${hours % 24} h`;
}

const fields: Intl.DateTimeFormatOptions = {
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
};

/** How far the clocks of a zone are ahead of UTC. */
function ahead(moment: number, zone: string): number {
  const parts = Object.fromEntries(format(zone, fields).formatToParts(moment).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 1, day: date = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, date, hour, minute, second) - Math.floor(moment / 1000) * 1000;
}

/** `2026-03-03T14:05`, as `<input type="datetime-local">` reads and writes it. */
export function toWallClock(moment: Moment, zone: string): string {
  const at = millis(moment);
  return new Date(at + ahead(at, zone)).toISOString().slice(0, 16);
}

/** The moment of a wall clock, or of RFC 3339; a time that the clocks skip is moved forward. */
export function fromWallClock(text: string, zone: string): number {
  if (/(Z|[+-]\d\d:\d\d)$/.test(text)) return Date.parse(text);
  const wall = Date.parse(`${text}Z`);
  const guess = wall - ahead(wall, zone);
  return wall - ahead(guess, zone);
}
