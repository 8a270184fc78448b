// Can what the page says be trusted? The headline, why a list is empty, and the health of sources and monitors.

import { CERTAIN, band, count, dayClock, duration, el, judged, number, severityWords } from "./api.js";

/** `1 serious, 1 notable now`; without any, no more than what is known. */
export function headline(open, { status, incidents }, chosen, pace) {
  const groups = new Map();
  for (const i of open) {
    const word = CERTAIN[i.kind] ?? band(judged(i));
    groups.set(word, (groups.get(word) ?? 0) + 1);
  }
  if (groups.size) return `${[...groups].map(([word, amount]) => `${amount} ${word}`).join(", ")} now`;
  const mine = status.monitors.filter(({ name }) => !chosen.monitor || name === chosen.monitor);
  if (!mine.length) return "Nothing is watched yet";
  if (mine.every((m) => !m.totals.events)) return "No events yet";
  if (mine.every(isLearning)) return "Still learning what is normal";
  const hidden = [...incidents.values()].some(
    (i) => i.state === "open" && i.kind !== "minor" && mine.some((m) => m.name === i.monitor),
  );
  if (hidden) return `Nothing at ${chosen.severity} or above now`;
  const behind = mine.filter((m) => pulse(m, status, pace).behind && m.closed_through);
  const [least] = behind.sort((a, b) => Date.parse(a.closed_through) - Date.parse(b.closed_through));
  const where = chosen.monitor ? ` in ${chosen.monitor}` : "";
  return least
    ? `Nothing wrong${where} up to ${dayClock(least.closed_through, least.zone)}`
    : `Nothing is wrong${where} now`;
}

/** The browser's title: the worst sentence, or the headline. */
export function title(open, reading) {
  const worst = open.find((i) => !CERTAIN[i.kind]) ?? open[0];
  if (!worst) return `${reading} - Tidewatch`;
  return CERTAIN[worst.kind] ? worst.summary : `${severityWords(judged(worst))}: ${worst.summary}`;
}

const isLearning = (monitor) => monitor.learning && monitor.num_learning >= monitor.num_series;

// Why a list is empty.

/** Why nothing is in the list of open incidents, and what would fill it. */
export function whyNoneOpen({ status, incidents }, chosen) {
  const { monitors, sources } = status;
  const mine = monitors.filter(({ name }) => !chosen.monitor || name === chosen.monitor);
  if (!monitors.length)
    return ["No monitor is configured. Add one under [monitors.NAME] to the configuration file and start again."];
  if (!mine.length)
    return [
      `There is no monitor ${chosen.monitor}. `,
      el("button", { type: "button", "data-do": "all" }, "Show all monitors"),
    ];
  const open = [...incidents.values()].filter((i) => i.state === "open");
  const here = open.filter((i) => !chosen.monitor || i.monitor === chosen.monitor);
  const below = here.filter((i) => i.kind !== "minor" && judged(i) < chosen.severity);
  if (below.length) {
    const lower = Math.floor(Math.min(...below.map(judged)));
    return [
      `Nothing at severity ${chosen.severity} or above; ${count(below.length, "open incident is", "open incidents are")} below. `,
      el("button", { type: "button", "data-do": "lower", "data-to": lower }, `Show from ${lower}`),
    ];
  }
  const others = open.length - here.length;
  if (others)
    return [
      `Nothing is off in ${chosen.monitor}; ${count(others, "incident is", "incidents are")} open elsewhere. `,
      el("button", { type: "button", "data-do": "all" }, "Show all monitors"),
    ];
  if (here.some((i) => i.kind === "minor"))
    return ["Nothing severe enough to page; a small or slow deviation is open, listed below."];
  const silent = mine.filter((m) => !m.totals.events);
  if (silent.length === mine.length) {
    return [
      `No event has come in yet, so nothing can be judged. ${sources.map((s) => `${s.name}: ${sourceWords(s)}`).join("; ")}.`,
    ];
  }
  const learning = mine.filter(isLearning);
  if (learning.length === mine.length)
    return ["Nothing can be flagged yet: ", learning.map((m) => `${m.name} is ${progress(m)}`).join("; "), "."];
  if (mine.some((m) => sources.some((s) => s.name === m.source && s.state === "unreachable")))
    return ["A source cannot be reached, so nothing newer can be judged: see Sources."];
  const series = mine.reduce((sum, m) => sum + m.num_series - m.num_learning, 0);
  return [
    `${number(series)} series are as expected. An incident appears here as soon as a window closes outside what is usual.`,
  ];
}

function progress({ learning: { seen, needed }, interval_seconds }) {
  return `learning: ${number(seen)} of ${number(needed)} windows, about ${duration((needed - seen) * interval_seconds * 1000)} to go`;
}

// The health of sources and monitors.

const SOURCE_WORDS = {
  starting: "starting",
  reading: "reading",
  caught_up: "up to date",
  unreachable: "unreachable",
  ended: "read to its end",
};
const sourceWords = ({ state, error }) => `${SOURCE_WORDS[state] ?? state}${error ? ` (${error})` : ""}`;

/** How far each monitor has judged; those that are equally far share a clause. */
export function pulses(status, pace) {
  const said = new Map();
  for (const monitor of status.monitors) {
    const { words } = pulse(monitor, status, pace);
    said.set(words, [...(said.get(words) ?? []), monitor.name]);
  }
  return [...said].map(([words, names]) => `${names.join(", ")}: ${words}`).join("; ");
}

/** How far a monitor has judged, in one clause; says so when that stands still. */
function pulse(monitor, { sources, now }, pace) {
  const { name, closed_through: through, zone, interval_seconds } = monitor;
  const source = sources.find((s) => s.name === monitor.source);
  if (!through) return { words: "no window has closed yet", behind: true };
  const [patience, age] = [interval_seconds * 3000, Date.parse(now) - Date.parse(through)];
  const behind = (why) => ({ words: `judged up to ${dayClock(through, zone)}, ${why}`, behind: true });
  if (source?.state === "unreachable") return behind(`stale: its source ${source.name} is unreachable`);
  if (source?.state === "ended") return behind("the end of its source");
  if (source?.state === "reading" && source.lag_millis > patience)
    return behind(`catching up: ${duration(source.lag_millis)} behind`);
  // A simulated source has a clock of its own: only standing still is stale there.
  const still = pace[name] ? Date.now() - pace[name].since : 0;
  const old = source?.state === "caught_up" && source.kind !== "simulated" && age > patience ? age : 0;
  if (still > Math.max(patience, 60000) || old) {
    const due = duration(interval_seconds * 1000);
    return behind(`stale: no window closed for ${duration(Math.max(still, old))}, one is due every ${due}`);
  }
  return { words: `judged up to ${dayClock(through, zone)}`, behind: false };
}

/** Remembers since when a monitor's windows stand still, and how fast a source reads. */
export function keepPace(status, pace) {
  for (const { name, closed_through } of status.monitors) {
    if (pace[name]?.through !== closed_through) pace[name] = { through: closed_through, since: Date.now() };
  }
  for (const { name, records } of status.sources) {
    const { records: before, at: then } = pace[`/${name}`] ?? {};
    const rate = then ? (records - before) / ((Date.now() - then) / 1000) : null;
    pace[`/${name}`] = { records, at: Date.now(), rate };
  }
}

/** The strip: can what is said be trusted? */
export function health(status, pace) {
  return el(
    "aside",
    { id: "health", "aria-label": "Sources and monitors" },
    el("h2", {}, "Sources"),
    status.sources.length
      ? el("ul", { class: "sources" }, ...status.sources.map((s) => sourceItem(s, pace)))
      : el("p", { class: "empty" }, "No source is configured."),
    el("h2", {}, "Monitors"),
    status.monitors.length
      ? status.monitors.map((m) => monitorPart(m, pulse(m, status, pace).words))
      : el("p", { class: "empty" }, "No monitor is configured."),
  );
}

function sourceItem(source, pace) {
  const rate = pace[`/${source.name}`]?.rate;
  return el(
    "li",
    {},
    el("b", {}, source.name),
    el("span", { class: "soft" }, ` ${source.kind} `),
    el("span", { class: `source-state ${source.state}` }, SOURCE_WORDS[source.state] ?? source.state),
    el(
      "p",
      { class: "soft" },
      [
        source.lag_millis == null ? "lag unknown" : `${duration(source.lag_millis)} behind`,
        `${count(source.records, "record")} in`,
        rate > 0 && `${number(rate)} a second`,
      ]
        .filter(Boolean)
        .join(", "),
    ),
    source.error && el("p", { class: "error" }, source.error),
  );
}

function monitorPart(monitor, said) {
  const { name, interval_seconds, zone, dimensions, measures, num_series, num_learning, learning, totals } = monitor;
  const parts = [
    ["counted", totals.counted],
    ["rejected", totals.rejected],
    ["late", totals.late],
    ["over the limit", totals.over_limit],
  ];
  if (totals.revised) parts.push(["revised", totals.revised]);
  if (totals.waiting) parts.push(["waiting to revise", totals.waiting]);
  if (totals.after_close) parts.push(["after its window closed", totals.after_close]);
  const missing = totals.events - parts.reduce((sum, [, value]) => sum + value, 0);
  const reasons = Object.entries(monitor.rejected_by_reason).filter(([, value]) => value);
  const samples = monitor.reject_samples;
  return el(
    "section",
    { class: "monitor" },
    el("h3", {}, name),
    el(
      "p",
      { class: "soft" },
      `every ${duration(interval_seconds * 1000)}, ${zone}; ${measures.map((m) => m.name).join(", ")}${dimensions.length ? ` by ${dimensions.join(", ")}` : ""}`,
    ),
    el("p", {}, said),
    el("p", {}, count(num_series, "series", "series"), num_learning ? `, ${number(num_learning)} still learning` : ""),
    learning &&
      el(
        "p",
        {},
        progress(monitor),
        el("progress", { max: learning.needed, value: learning.seen, "aria-label": `${name} has learned` }),
      ),
    el(
      "table",
      { class: "sum" },
      el("caption", { class: "hidden" }, `What became of the events of ${name}`),
      el(
        "tbody",
        {},
        el("tr", { class: "total" }, el("th", { scope: "row" }, "events in"), el("td", {}, number(totals.events))),
        ...parts.map(([word, value], i) =>
          el("tr", {}, el("th", { scope: "row" }, `${i ? "+" : "="} ${word}`), el("td", {}, number(value))),
        ),
      ),
    ),
    missing !== 0 &&
      el(
        "p",
        { class: "error" },
        `This does not add up: ${number(Math.abs(missing))} ${missing > 0 ? "unaccounted for" : "counted twice"}.`,
      ),
    samples.length > 0 &&
      el(
        "details",
        {},
        el(
          "summary",
          {},
          `Rejected: ${reasons.map(([reason, value]) => `${reason.replaceAll("_", " ")} ${number(value)}`).join(", ") || "last samples"}`,
        ),
        el(
          "ol",
          { class: "rejects" },
          ...samples.map((sample) =>
            el(
              "li",
              {},
              el("b", {}, sample.reason.replaceAll("_", " ")),
              `: ${sample.detail}`,
              el(
                "p",
                { class: "soft" },
                `partition ${sample.partition}, positions ${sample.positions}, record ${sample.record}, row ${sample.row}`,
              ),
              el("pre", { tabindex: 0 }, sample.payload),
            ),
          ),
        ),
      ),
  );
}
