// One incident in words: which list it belongs to, its row, its details. Everything here builds fresh elements
// from what the server said; `morph` brings them into the page.

import {
  CERTAIN,
  band,
  chance,
  clock,
  count,
  dayClock,
  duration,
  el,
  elsewhere,
  impact,
  judged,
  number,
  place,
  severityWords,
  span,
  svg,
  where,
} from "./api.js";

const SHAPES = {
  quiet: ["circle", { cx: 8, cy: 8, r: 5 }],
  slight: ["rect", { x: 3, y: 3, width: 10, height: 10 }],
  notable: ["path", { d: "M8 1l7 7-7 7-7-7z" }],
  serious: ["path", { d: "M8 1.5L15.5 14.5H.5z" }],
  critical: ["path", { d: "M5 .5h6L15.5 5v6L11 15.5H5L.5 11V5z" }],
};

/** Number, word and shape of a severity. */
export function badge(severity, kind) {
  if (CERTAIN[kind]) {
    const title =
      kind === "no_data"
        ? "The source cannot be read, so nothing can be said."
        : "Most of what is sent cannot be used, so little can be said.";
    return el(
      "span",
      { class: "badge", title },
      el("i", { class: "hatched" }),
      el("span", {}, kind.replace("_", " ")),
    );
  }
  const [shape, attributes] = SHAPES[band(severity)];
  return el(
    "span",
    { class: `badge ${band(severity)}`, title: `${severityWords(severity)}: ${chance(severity)}` },
    svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg(shape, attributes)),
    el("b", {}, `${Math.floor(severity)}`),
    " ",
    el("span", {}, band(severity)),
  );
}

/** Which incident belongs to which list, and in what order: open ones by severity, closed ones by time. */
export function sorted({ incidents, linked: fetched }, chosen) {
  const latest = (key) => (a, b) => Date.parse(b[key]) - Date.parse(a[key]);
  const chosenOne = (i) =>
    i !== fetched &&
    (!chosen.monitor || i.monitor === chosen.monitor) &&
    judged(i) >= chosen.severity &&
    (chosen.state === "all" || i.state === "open");
  const all = [...incidents.values()].filter(chosenOne);
  const main = all.filter((i) => i.kind !== "minor");
  const openFirst = (a, b) => Number(b.state === "open") - Number(a.state === "open");
  const found = {
    open: main.filter((i) => i.state === "open").sort((a, b) => judged(b) - judged(a) || latest("opened_at")(a, b)),
    closed: main.filter((i) => i.state === "closed").sort(latest("closed_at")),
    minor: all.filter((i) => i.kind === "minor").sort((a, b) => openFirst(a, b) || latest("opened_at")(a, b)),
  };
  const linked = incidents.get(chosen.incident);
  const listed = linked && Object.values(found).some((list) => list.includes(linked));
  return { linked: linked && !listed ? [linked] : [], ...found };
}

const time = (text, title) => el("time", { datetime: text, title: elsewhere(text) }, title);

/** The row without its chart, ready to be morphed into the page. */
export function row(incident, { zone, sameZone, link, expanded, peakAt }) {
  const { id, kind, state, opened_at, until } = incident;
  const lasted = `${state === "open" ? "so far " : ""}${duration(Date.parse(until) - Date.parse(opened_at))}`;
  const facts = [
    el("li", { class: "state" }, state),
    el(
      "li",
      {},
      time(opened_at, `${state === "open" ? `since ${dayClock(opened_at, zone)}` : span(opened_at, until, zone)}`),
      `, ${lasted}`,
    ),
    !CERTAIN[kind] && el("li", {}, where(incident)),
    incident.impact && el("li", {}, impact(incident.impact)),
    el("li", { class: "soft" }, sameZone ? incident.monitor : `${incident.monitor} (times in ${zone})`),
  ];
  return el(
    "li",
    { class: `incident ${kind} ${band(judged(incident))} ${state}${expanded ? " expanded" : ""}`, "data-id": id },
    badge(judged(incident), kind),
    el(
      "div",
      { class: "words" },
      el(
        "h3",
        {},
        el("a", { href: link, "data-do": "toggle", "data-id": id, "aria-expanded": `${expanded}` }, incident.summary),
      ),
      el("ul", { class: "facts" }, ...facts),
    ),
    el("div", { "data-keep": true, class: "chart" }),
    expanded ? details(incident, zone, peakAt) : el("div", { class: "details", hidden: true }),
  );
}

function details(incident, zone, peakAt) {
  const { severity, kind, members, num_members } = incident;
  const over = incident.state === "closed";
  const steps =
    CERTAIN[kind]
      ? []
      : [
          ["first", severity.first, incident.opened_at],
          ["peak", severity.peak, peakAt],
          [over ? "last" : "now", severity.final, incident.until],
        ];
  return el(
    "div",
    { class: "details" },
    steps.length > 0 &&
      el(
        "ol",
        { class: "timeline", "aria-label": "Severity over time" },
        ...steps.map(([word, value, at]) =>
          el("li", {}, el("span", { class: "soft" }, word), badge(value), at ? time(at, clock(at, zone)) : ""),
        ),
      ),
    kind === "minor" &&
      el(
        "p",
        { class: "soft" },
        `Never above page severity ${severityWords(severity.peak)}; as a small or slow change it reached ${severityWords(incident.minor)}.`,
      ),
    !CERTAIN[kind] &&
      el("p", { class: "soft" }, `${severityWords(judged(incident))}: ${chance(judged(incident))}. Times are ${zone}.`),
    members.length > 0 &&
      el(
        "table",
        {},
        el(
          "caption",
          {},
          `${count(num_members, "series took part", "series took part")}${num_members > members.length ? `, the ${number(members.length)} most unusual:` : ""}`,
        ),
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            ...["Severity", "Measure", "Where", "Actual", "Expected", "When"].map((text) =>
              el("th", { scope: "col" }, text),
            ),
          ),
        ),
        el(
          "tbody",
          {},
          ...members.map((member) =>
            el(
              "tr",
              {},
              el(
                "td",
                {},
                badge(kind === "minor" ? Math.max(member.severity.peak, member.minor ?? 0) : member.severity.peak),
              ),
              el("td", { "data-is": "measure" }, member.measure),
              el("td", { "data-is": "where" }, place(member.slice)),
              el(
                "td",
                { "data-is": "actual", class: "figure" },
                number(member.actual),
                " ",
                el("span", { class: "soft" }, { drop: "below", rise: "above" }[member.direction] ?? ""),
              ),
              el("td", { "data-is": "expected", class: "figure" }, number(member.expected)),
              el(
                "td",
                { "data-is": "when" },
                el(
                  "span",
                  { title: `${span(member.opened_at, member.until, "UTC")} UTC` },
                  span(member.opened_at, member.until, zone),
                ),
              ),
            ),
          ),
        ),
      ),
    el(
      "p",
      { class: "actions" },
      el("button", { type: "button", "data-do": "copy", "data-id": incident.id }, "Copy link"),
      " ",
      el("button", { type: "button", "data-do": "toggle", "data-id": incident.id }, "Close"),
      el("span", { class: "soft" }, ` ${incident.id}`),
    ),
  );
}
