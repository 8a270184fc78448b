// The page: what the address says, what the server says, and how the two become lists that never jump.
//
// Everything chosen lives in the address. Every five seconds the server is asked; rows being read are renewed
// in place, and anything that would move them waits behind the button "2 new".

import { band, clock, count, dayClock, duration, el, get, judged, morph, number, severityWords } from "./api.js";
import { Chart, row } from "./incident.js";

const POLL_MILLIS = 5000;
const PAGE = 50;
const LISTS = ["linked", "open", "closed", "minor"];
const at = (id) => document.getElementById(id);
const form = at("filters");

let chosen = fromAddress();
const server = { status: null, incidents: new Map(), linked: null, missing: null, more: false, older: new Set() };
let shown = Object.fromEntries(LISTS.map((list) => [list, []]));
const rows = new Map();
const peaks = new Map();
let [answeredAt, failure, timer, turn, pace] = [null, null, 0, 0, {}];

// The address.

function fromAddress() {
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

function address(change = {}) {
  const { severity, monitor, state, incident } = { ...chosen, ...change };
  const query = new URLSearchParams();
  if (severity !== 70) query.set("severity", severity);
  if (monitor) query.set("monitor", monitor);
  if (state !== "all") query.set("state", state);
  if (incident) query.set("incident", incident);
  return `/${query.size ? `?${query}` : ""}`;
}

function choose(change, { replace = false } = {}) {
  const refilter = ["severity", "monitor", "state"].some((key) => key in change && change[key] !== chosen[key]);
  chosen = { ...chosen, ...change };
  history[replace ? "replaceState" : "pushState"](null, "", address());
  follow(refilter);
}

function follow(refilter) {
  if (refilter) server.older.clear();
  form.severity.value = chosen.severity;
  form.state.value = chosen.state;
  render({ settle: refilter });
  if (refilter || (chosen.incident && !server.incidents.has(chosen.incident))) {
    clearTimeout(timer);
    timer = setTimeout(poll, 150);
  }
}

// The server.

async function poll() {
  clearTimeout(timer);
  const mine = ++turn;
  try {
    const [status, open, closed, minor] = await Promise.all([
      get("status"),
      get("incidents", { state: "open", limit: 200 }),
      get("incidents", { state: "closed", min_severity: chosen.severity, monitor: chosen.monitor, limit: PAGE }),
      get("incidents", { state: "closed", kind: "minor", monitor: chosen.monitor, limit: PAGE }),
    ]);
    if (mine !== turn) return;
    const kept = [...server.older].map((id) => server.incidents.get(id)).filter(Boolean);
    const all = [...kept, ...minor.incidents, ...closed.incidents, ...open.incidents];
    server.incidents = new Map(all.map((incident) => [incident.id, incident]));
    if (!server.older.size) server.more = closed.incidents.length === PAGE;
    await findLinked();
    if (mine !== turn) return;
    keepPace(status);
    [server.status, answeredAt, failure] = [status, Date.now(), null];
  } catch (error) {
    if (mine !== turn) return;
    failure = { since: failure?.since ?? Date.now(), message: error.message };
  }
  render({});
  timer = setTimeout(poll, POLL_MILLIS);
}

/** A link may name an incident that is in none of the lists: older, or below the slider. */
async function findLinked() {
  const id = chosen.incident;
  server.missing = null;
  if (!id || server.incidents.has(id)) return;
  try {
    server.linked = await get(`incidents/${encodeURIComponent(id)}`);
    server.incidents.set(id, server.linked);
  } catch (error) {
    if (error.status !== 404) throw error;
    server.missing = id;
  }
}

async function older() {
  const last = lists().closed.at(-1);
  if (!last) return;
  try {
    const { incidents } = await get("incidents", { state: "closed", min_severity: chosen.severity, monitor: chosen.monitor,
      limit: PAGE, before: last.opened_at });
    for (const incident of [...incidents, ...lists().closed]) {
      server.older.add(incident.id);
      server.incidents.set(incident.id, incident);
    }
    server.more = incidents.length === PAGE;
    render({ settle: true });
  } catch (error) {
    failure = { since: failure?.since ?? Date.now(), message: error.message };
    render({});
  }
}

/** Remembers since when a monitor's windows stand still, and how fast a source reads. */
function keepPace(status) {
  for (const { name, closed_through } of status.monitors) {
    if (pace[name]?.through !== closed_through) pace[name] = { through: closed_through, since: Date.now() };
  }
  for (const { name, records } of status.sources) {
    const { records: before, at: then } = pace[`/${name}`] ?? {};
    const rate = then ? (records - before) / ((Date.now() - then) / 1000) : null;
    pace[`/${name}`] = { records, at: Date.now(), rate };
  }
}

// The lists.

function lists() {
  const time = (key) => (a, b) => Date.parse(b[key]) - Date.parse(a[key]);
  const all = [...server.incidents.values()].filter((i) => (!chosen.monitor || i.monitor === chosen.monitor)
    && judged(i) >= chosen.severity && (chosen.state === "all" || i.state === "open"));
  const main = all.filter((i) => i.kind !== "minor");
  const found = {
    open: main.filter((i) => i.state === "open").sort((a, b) => judged(b) - judged(a) || time("opened_at")(a, b)),
    closed: main.filter((i) => i.state === "closed").sort(time("closed_at")),
    minor: all.filter((i) => i.kind === "minor").sort((a, b) => (a.state < b.state) - (a.state > b.state) || time("opened_at")(a, b)),
  };
  const linked = server.incidents.get(chosen.incident);
  const listed = linked && Object.values(found).some((list) => list.includes(linked));
  return { linked: linked && !listed ? [linked] : [], ...found };
}

/** Whether something is being read, so that nothing may move. */
function reading() {
  return scrollY > 100 || Boolean(document.querySelector(".incident.expanded, .incident:hover, .incident :focus-visible"));
}

function render({ settle = false, top = false }) {
  if (!server.status) return renderHead(lists());
  const wanted = lists();
  const ids = Object.fromEntries(LISTS.map((list) => [list, wanted[list].map((i) => i.id)]));
  const known = new Set(LISTS.flatMap((list) => shown[list]));
  const fresh = [...ids.open, ...ids.closed].filter((id) => !known.has(id));
  const hold = !settle && !top && known.size > 0 && reading();
  if (!hold) shown = ids;
  else shown.linked = ids.linked.filter((id) => !LISTS.slice(1).some((list) => shown[list].includes(id)));
  for (const list of LISTS) place(at(list).querySelector("ol"), shown[list]);
  for (const [id, node] of rows) if (!node.isConnected) rows.delete(id);

  at("new").hidden = !hold || !fresh.length;
  at("new").textContent = `${fresh.length} new`;
  at("linked").hidden = !shown.linked.length && !server.missing;
  at("linked").querySelector(".empty").textContent = server.missing ? `There is no incident ${server.missing} here: the link is from `
    + "another Tidewatch, or the incident is older than what is kept." : "";
  at("closed").hidden = chosen.state === "open";
  at("older").hidden = !server.more;
  at("minor-count").textContent = `(${shown.minor.length})`;
  if (shown.minor.includes(chosen.incident)) at("minor").open = true;
  const empty = (list, text) => morph(at(list).querySelector(".empty"), el("p", { class: "empty" }, ...(shown[list].length ? [] : text)));
  empty("open", whyNoneOpen());
  empty("closed", [`Nothing closed at severity ${chosen.severity} or above is kept${chosen.monitor ? ` for ${chosen.monitor}` : ""}.`]);
  empty("minor", [`None at ${chosen.severity} or above.`]);
  renderHead(wanted);
  renderHealth();
  if (top) {
    scrollTo(0, 0);
    document.querySelector(`a[data-id="${CSS.escape(fresh[0] ?? "")}"]`)?.focus();
  }
}

function place(list, ids) {
  ids.forEach((id, index) => {
    const incident = server.incidents.get(id);
    if (incident) renew(id, incident);
    const node = rows.get(id);
    if (node && list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
  });
  [...list.children].slice(ids.length).forEach((node) => node.remove());
}

function renew(id, incident) {
  const monitor = server.status.monitors.find(({ name }) => name === incident.monitor);
  const expanded = chosen.incident === id;
  const options = { zone: monitor?.zone ?? "UTC", expanded, peakAt: peaks.get(id), monitor,
    link: address({ incident: expanded ? "" : id }),
    onPeak: (time) => peaks.get(id) !== time && (peaks.set(id, time), renew(id, server.incidents.get(id) ?? incident)) };
  const fresh = row(incident, options);
  if (!rows.has(id)) {
    rows.set(id, fresh);
    fresh.chart = new Chart(fresh.querySelector(".chart"));
  } else morph(rows.get(id), fresh);
  rows.get(id).chart.show(incident, options);
}

// The words around the lists.

function whyNoneOpen() {
  const { monitors, sources } = server.status;
  const mine = monitors.filter(({ name }) => !chosen.monitor || name === chosen.monitor);
  if (!monitors.length) return ["No monitor is configured. Add one under [monitors.NAME] to the configuration file and start again."];
  if (!mine.length) return [`There is no monitor ${chosen.monitor}. `, el("button", { type: "button", "data-do": "all" }, "Show all monitors")];
  const open = [...server.incidents.values()].filter((i) => i.state === "open");
  const here = open.filter((i) => !chosen.monitor || i.monitor === chosen.monitor);
  const below = here.filter((i) => i.kind !== "minor" && judged(i) < chosen.severity);
  if (below.length) {
    const lower = Math.floor(Math.min(...below.map(judged)));
    return [`Nothing at severity ${chosen.severity} or above; ${count(below.length, "open incident is", "open incidents are")} below. `,
      el("button", { type: "button", "data-do": "lower", "data-to": lower }, `Show from ${lower}`)];
  }
  const elsewhere = open.length - here.length;
  if (elsewhere) return [`Nothing is off in ${chosen.monitor}; ${count(elsewhere, "incident is", "incidents are")} open elsewhere. `,
    el("button", { type: "button", "data-do": "all" }, "Show all monitors")];
  if (here.some((i) => i.kind === "minor")) return ["Nothing severe enough to page; a small or slow deviation is open, listed below."];
  const silent = mine.filter((m) => !m.totals.events);
  if (silent.length === mine.length) {
    return [`No event has come in yet, so nothing can be judged. ${sources.map((s) => `${s.name}: ${sourceState(s)}`).join("; ")}.`];
  }
  const learning = mine.filter((m) => m.learning && m.num_learning >= m.num_series);
  if (learning.length === mine.length) return ["Nothing can be flagged yet: ", learning.map((m) => `${m.name} is ${progress(m)}`).join("; "), "."];
  const series = mine.reduce((sum, m) => sum + m.num_series - m.num_learning, 0);
  return [`${number(series)} series are as expected. An incident appears here as soon as a window closes outside what is usual.`];
}

function progress({ learning: { seen, needed }, interval_seconds }) {
  return `learning: ${number(seen)} of ${number(needed)} windows, about ${duration((needed - seen) * interval_seconds * 1000)} to go`;
}

function renderHead({ open }) {
  const words = { reading: failure && !server.status ? "The server cannot be reached" : "What is wrong now" };
  if (server.status) {
    const groups = new Map();
    for (const i of open) {
      const word = i.kind === "no_data" ? "without data" : band(judged(i));
      groups.set(word, (groups.get(word) ?? 0) + 1);
    }
    words.reading = groups.size ? `${[...groups].map(([word, n]) => `${n} ${word}`).join(", ")} now`
      : chosen.severity > 70 || chosen.monitor ? "Nothing here that matches" : "Nothing is wrong now";
    const worst = open.find((i) => i.kind !== "no_data") ?? open[0];
    document.title = worst ? `${worst.kind === "no_data" ? "" : `${severityWords(judged(worst))}: `}${worst.summary}` : `Tidewatch: ${words.reading.toLowerCase()}`;
    const zones = new Set(server.status.monitors.map(({ zone }) => zone));
    at("zone").textContent = zones.size === 1 ? `times in ${[...zones][0]}` : zones.size ? "times in each shop's zone" : "";
    at("version").textContent = `Tidewatch ${server.status.version}.`;
    const names = server.status.monitors.map(({ name }) => name);
    const options = ["", ...new Set([...names, chosen.monitor].filter(Boolean))];
    morph(form.monitor, el("select", { name: "monitor" }, ...options.map((name) => el("option", { value: name }, name || "all"))));
    form.monitor.value = chosen.monitor;
    at("subline").className = "";
    at("subline").textContent = server.status.monitors.map(pulse).join(" · ");
  }
  for (const id of ["headline", "announce"]) if (at(id).textContent !== words.reading) at(id).textContent = words.reading;
  form.from.value = severityWords(chosen.severity);
  if (failure) {
    at("subline").hidden = !server.status;
    const since = `${clock(failure.since)}, ${duration(Date.now() - failure.since)} ago`;
    const what = server.status ? `What is below is as of ${clock(answeredAt)} (your time); it goes on by itself.` : "This page goes on by itself as soon as it answers.";
    morph(at("trouble"), el("div", { id: "trouble", role: "alert" }, el("p", {}, el("b", {}, "Server unreachable "), `since ${since}: ${failure.message}. ${what}`)));
  } else {
    at("subline").hidden = false;
    at("trouble").replaceChildren();
  }
  document.body.classList.toggle("old", Boolean(failure && server.status));
  tellAge();
}

const tellAge = () => { at("age").textContent = answeredAt ? `updated ${duration(Math.round((Date.now() - answeredAt) / 1000) * 1000).replace(".0", "")} ago` : ""; };
