// What the server says, and the words for it: requests, the address, numbers, times, severities.
// Nothing here touches the page except `el`, `svg` and `morph`, the helpers that build and renew it.

const PATIENCE_MILLIS = 8000;

/** Kinds of incidents that are certain, which no series explains. */
export const CERTAIN = { no_data: "without data", engine_trouble: "in trouble" };

/** Gets JSON; throws an `Error` whose message can be shown and whose `status` is the HTTP status, if any. */
export async function get(path, params = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== "" && value != null));
  const url = `/api/v1/${path}${query.size ? `?${query}` : ""}`;
  let response;
  try {
    const token = sessionStorage.getItem(TOKEN);
    response = await ask(url, token);
    if (response.status === 401 && askForToken(token)) response = await ask(url, sessionStorage.getItem(TOKEN));
  } catch (error) {
    throw new Error(error.name === "TimeoutError" ? `no answer in ${PATIENCE_MILLIS / 1000} s` : "no connection");
  }
  if (!response.ok) {
    throw Object.assign(new Error(`it answered ${response.status} ${response.statusText}`.trim()), {
      status: response.status,
    });
  }
  try {
    return await response.json();
  } catch {
    throw new Error("its answer was cut off or is not JSON");
  }
}

const TOKEN = "tidewatch-token";
let refused = false;

function ask(url, token) {
  return fetch(url, {
    signal: AbortSignal.timeout(PATIENCE_MILLIS),
    cache: "no-store",
    headers: token ? { Authorization: `Bearer ${token}` } : {},
  });
}

/** A server with a token wants it once per browser session; whoever says no is not asked again. */
function askForToken(tried) {
  if (sessionStorage.getItem(TOKEN) !== tried) return true; // another request has asked meanwhile
  if (refused) return false;
  const token = window.prompt("This Tidewatch asks for its access token:");
  refused = !token;
  if (token) sessionStorage.setItem(TOKEN, token);
  return !refused;
}

// The address: everything chosen lives in it, so that back works and every view is a link.

/** What the address chooses; `/#incident=ID` is understood too. */
export function fromAddress() {
  const query = new URLSearchParams(location.search);
  const linked = new URLSearchParams(location.hash.slice(1)).get("incident");
  const severity = Number(query.get("severity") ?? 70);
  return {
    severity: Number.isFinite(severity) ? Math.min(100, Math.max(0, Math.round(severity))) : 70,
    monitor: query.get("monitor") ?? "",
    state: query.get("state") === "open" ? "open" : "all",
    incident: linked ?? query.get("incident") ?? "",
  };
}

/** The address of a choice, without what is as usual. */
export function toAddress({ severity, monitor, state, incident }) {
  const query = new URLSearchParams();
  if (severity !== 70) query.set("severity", severity);
  if (monitor) query.set("monitor", monitor);
  if (state !== "all") query.set("state", state);
  if (incident) query.set("incident", incident);
  return `/${query.size ? `?${query}` : ""}`;
}

// Severity: one language everywhere. The number is cut, not rounded, so that it always agrees with its word.

/** The fixed bands. */
export function band(severity) {
  if (severity >= 90) return "critical";
  if (severity >= 80) return "serious";
  if (severity >= 70) return "notable";
  return severity >= 50 ? "slight" : "quiet";
}

/** `84 serious`. */
export const severityWords = (severity) => `${Math.floor(severity)} ${band(severity)}`;

/** How often a severity comes by chance: the published map, read backwards. */
export function chance(severity) {
  if (severity >= 100) return "by chance less than once in 1,000 weeks on one series";
  if (severity < 70) return `by chance about ${number(10 ** ((70 - severity) / 20), 2)} times a week on one series`;
  const weeks = 10 ** ((severity - 70) / 10);
  return `by chance about once ${weeks < 1.5 ? "a week" : `in ${number(weeks, 2)} weeks`} on one series`;
}

/** The number an incident is judged by: minor incidents live on their own scale. */
export const judged = (incident) => (incident.kind === "minor" ? incident.minor : incident.severity.peak);

// Numbers.

/** Thousands separators and at most `digits` significant digits after the first ones; never 1239.87. */
export function number(value, digits = 3) {
  if (value == null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const decimals = size >= 100 || Number.isInteger(value) ? 0 : { maximumSignificantDigits: digits };
  return value.toLocaleString("en-US", decimals === 0 ? { maximumFractionDigits: 0 } : decimals);
}

export const count = (amount, one, many = `${one}s`) => `${number(amount)} ${amount === 1 ? one : many}`;

/** `1 h 25 min`: the two largest units. */
export function duration(millis) {
  const seconds = Math.max(0, millis / 1000);
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 && hours < 240 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${Math.floor(hours / 24)} d`;
}

// Times: the shop's zone; UTC and the viewer's own are in the tooltip.

const formats = new Map();

function format(zone, options) {
  const key = `${zone} ${Object.keys(options)}`;
  if (!formats.has(key)) {
    let made;
    try {
      made = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone });
    } catch {
      made = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: "UTC" });
    }
    formats.set(key, made);
  }
  return formats.get(key);
}

/** `14:05`. */
export const clock = (time, zone) => format(zone, { hour: "2-digit", minute: "2-digit" }).format(new Date(time));

/** `Tue 03 Mar`. */
export const day = (time, zone) =>
  format(zone, { weekday: "short", day: "2-digit", month: "short" }).format(new Date(time)).replace(",", "");

/** `Tue 03 Mar 14:05`. */
export const dayClock = (time, zone) => `${day(time, zone)} ${clock(time, zone)}`;

/** `Tue 03 Mar 14:05 to 15:30`. */
export const span = (from, to, zone) =>
  `${dayClock(from, zone)} to ${day(from, zone) === day(to, zone) ? clock(to, zone) : dayClock(to, zone)}`;

/** UTC and the viewer's own time, for tooltips. */
export const elsewhere = (time) => `${dayClock(time, "UTC")} UTC, ${dayClock(time)} here`;

// Incidents in words.

/** `country DE, device ios`; the whole is `everything`. */
export const place = (slice) =>
  Object.entries(slice)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ") || "everything";

/** Where it is and how much of it that explains. */
export function where(incident) {
  const whole = !incident.slices.some((slice) => Object.keys(slice).length);
  if (whole) return "in the whole, no single slice stands out";
  return `${incident.slices.map(place).join("; ")} explains ${number(incident.share * 100, 2)}\u00a0%`;
}

/** `about 60 orders below expected (40 to 80)`; signs are words. */
export function impact({ value, lower, upper, unit }) {
  const side = value < 0 ? "below" : "above";
  const [least, most] = value < 0 ? [-upper, -lower] : [lower, upper];
  const range = least >= 0 ? `${number(least)} to ${number(most)}` : `up to ${number(most)}, perhaps none`;
  return `about ${number(Math.abs(value))} ${unit} ${side} expected (${range})`;
}

// Building the page.

/** An element; everything from the server goes in as text, never as markup. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value != null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

/** The same for drawings. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/**
 * Makes `old` like `fresh` with as few changes as possible, so that focus, selection, scroll and opened
 * `<details>` survive a renewal. What carries `data-keep` is left alone.
 */
export function morph(old, fresh) {
  if (old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old.hasAttribute("data-keep")) return;
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const [was, is] = [[...old.childNodes], [...fresh.childNodes]];
  is.forEach((child, index) => (was[index] ? morph(was[index], child) : old.append(child)));
  was.slice(is.length).forEach((child) => child.remove());
}
