// The page: what the address says, what the server says, and how the two become lists that never jump.
//
// Everything chosen lives in the address. Every five seconds the server is asked; rows being read are renewed
// in place, and anything that would move them waits behind the button "2 new".

import { clock, duration, el, fromAddress, get, morph, severityWords, toAddress } from "./api.js";
import { Chart } from "./chart.js";
import { headline, health, keepPace, pulses, title, whyNoneOpen } from "./health.js";
import { row, sorted } from "./incident.js";

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
let [answeredAt, failure, timer, turn] = [null, null, 0, 0];
const pace = {};

// The address.

function choose(change) {
  const refilter = ["severity", "monitor", "state"].some((key) => key in change && change[key] !== chosen[key]);
  chosen = { ...chosen, ...change };
  history.pushState(null, "", toAddress(chosen));
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
    keepPace(status, pace);
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
  server.linked = server.missing = null;
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
  const before = new Date(Math.min(...lists().closed.map((i) => Date.parse(i.opened_at)))).toISOString();
  try {
    const { incidents } = await get("incidents", {
      state: "closed",
      min_severity: chosen.severity,
      monitor: chosen.monitor,
      limit: PAGE,
      before,
    });
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

// The lists.

const lists = () => sorted(server, chosen);

/** Whether something is being read, so that nothing may move. */
function reading() {
  return (
    scrollY > 100 || Boolean(document.querySelector(".incident.expanded, .incident:hover, .incident :focus-visible"))
  );
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
  for (const list of LISTS) arrange(at(list).querySelector("ol"), shown[list]);
  for (const [id, node] of rows) if (!node.isConnected) rows.delete(id);

  at("new").hidden = !hold || !fresh.length;
  at("new").textContent = `${fresh.length} new`;
  at("linked").hidden = !shown.linked.length && !server.missing;
  const missing = `There is no incident ${server.missing} here: it is another Tidewatch's, or older than what is kept.`;
  at("linked").querySelector(".empty").textContent = server.missing ? missing : "";
  at("closed").hidden = chosen.state === "open";
  at("older").hidden = !server.more;
  at("minor-count").textContent = `(${shown.minor.length})`;
  if (shown.minor.includes(chosen.incident)) at("minor").open = true;
  const empty = (list, text) =>
    morph(at(list).querySelector(".empty"), el("p", { class: "empty" }, ...(shown[list].length ? [] : text)));
  empty("open", whyNoneOpen(server, chosen));
  empty("closed", [
    `Nothing closed at severity ${chosen.severity} or above is kept${chosen.monitor ? ` for ${chosen.monitor}` : ""}.`,
  ]);
  empty("minor", [`None at ${chosen.severity} or above.`]);
  renderHead(wanted);
  morph(at("health"), health(server.status, pace));
  if (top) {
    scrollTo(0, 0);
    document.querySelector(`a[data-id="${CSS.escape(fresh[0] ?? "")}"]`)?.focus();
  }
}

function arrange(list, ids) {
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
  const options = {
    zone: monitor?.zone ?? "UTC",
    sameZone: server.status.monitors.every(({ zone }) => zone === monitor?.zone),
    expanded,
    peakAt: peaks.get(id),
    monitor,
    link: toAddress({ ...chosen, incident: expanded ? "" : id }),
    onPeak: (time) => peaks.get(id) !== time && (peaks.set(id, time), renew(id, server.incidents.get(id) ?? incident)),
  };
  const fresh = row(incident, options);
  if (!rows.has(id)) {
    rows.set(id, fresh);
    fresh.chart = new Chart(fresh.querySelector(".chart"));
  } else morph(rows.get(id), fresh);
  rows.get(id).chart.show(incident, options);
}

function renderHead({ open }) {
  const { status } = server;
  let reading = failure ? "The server cannot be reached" : "What is wrong now";
  if (status) {
    reading = headline(open, server, chosen, pace).replace(/ now$/, failure ? " when last seen" : " now");
    document.title = failure ? "Server unreachable - Tidewatch" : title(open, reading);
    const zones = new Set(status.monitors.map(({ zone }) => zone));
    say("zone", zones.size > 1 ? "times in each shop's zone" : zones.size ? `${[...zones][0]} time` : "");
    say("version", `Tidewatch ${status.version}.`);
    say("subline", pulses(status, pace));
    const names = new Set(["", ...status.monitors.map(({ name }) => name), chosen.monitor]);
    const options = [...names].map((name) => el("option", { value: name }, name || "all"));
    morph(form.monitor, el("select", { name: "monitor" }, ...options));
    form.monitor.value = chosen.monitor;
  }
  say("headline", reading);
  say("announce", reading);
  form.from.value = severityWords(chosen.severity);
  const after = status ? "What is below is from before that." : "This page fills by itself as soon as it answers.";
  say(
    "trouble",
    failure ? `Server unreachable since ${clock(failure.since)} your time: ${failure.message}. ${after}` : "",
  );
  at("subline").hidden = Boolean(failure && !status);
  document.body.className = failure ? (status ? "old" : "blank") : status ? "" : "blank";
  tellAge();
}

/** Sets a text only where it changes, so that it is not announced again. */
function say(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text;
}

function tellAge() {
  say(
    "age",
    answeredAt ? `updated ${duration(Math.round((Date.now() - answeredAt) / 1000) * 1000).replace(".0", "")} ago` : "",
  );
}

// Hands.

form.addEventListener("submit", (event) => event.preventDefault());
form.severity.addEventListener("input", () => {
  chosen.severity = Number(form.severity.value);
  render({ settle: true });
});
form.addEventListener("change", (event) => {
  const { name, value } = event.target;
  chosen.severity = name === "severity" ? fromAddress().severity : chosen.severity;
  choose({ [name]: name === "severity" ? Number(value) : value });
});

const acts = {
  toggle({ id }) {
    const before = rows.get(id).getBoundingClientRect().top;
    choose({ incident: chosen.incident === id ? "" : id });
    if (rows.has(id)) scrollBy({ top: rows.get(id).getBoundingClientRect().top - before, behavior: "instant" });
  },
  lower: ({ to }) => choose({ severity: Number(to) }),
  all: () => choose({ monitor: "" }),
  new: () => render({ top: true }),
  older,
  async copy({ id }, button) {
    const link = new URL(`/?incident=${encodeURIComponent(id)}`, location.href).href;
    const done = await navigator.clipboard?.writeText(link).then(
      () => true,
      () => false,
    );
    button.textContent = done ? "Link copied" : link;
  },
};

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-do]");
  if (!target || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  acts[target.dataset.do](target.dataset, target);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input:not([type=range])")) return;
  const links = [...document.querySelectorAll(".incident h3 a")].filter((link) => link.checkVisibility());
  const now = links.findIndex((link) => link.closest(".incident").contains(document.activeElement));
  const next = { j: now + 1, k: now < 0 ? 0 : now - 1 }[event.key];
  if (links[next]) {
    links[next].focus();
    links[next].closest(".incident").scrollIntoView({ block: "nearest" });
  }
  if (event.key === "Escape" && chosen.incident) {
    const { incident } = chosen;
    choose({ incident: "" });
    rows.get(incident)?.querySelector("h3 a").focus();
  }
});

addEventListener("popstate", () => {
  chosen = fromAddress();
  follow(true);
});
addEventListener("hashchange", () => fromAddress().incident && location.hash.includes("incident=") && start());
document.addEventListener("visibilitychange", () => document.hidden || poll());
setInterval(tellAge, 1000);

/** Opens what the address names; `/#incident=ID` becomes `/?incident=ID`. */
async function start() {
  chosen = fromAddress();
  if (location.hash.includes("incident=")) history.replaceState(null, "", toAddress(chosen));
  follow(false);
  await poll();
  if (chosen.incident) rows.get(chosen.incident)?.scrollIntoView({ block: "start" });
}

start();
