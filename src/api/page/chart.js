// The chart that proves an incident's sentence.
// Grey is normal, colour is deviation: only what lies outside the band while the incident lasted is filled.

import { CERTAIN, clock, dayClock, duration, el, get, number, place, severityWords, span, svg } from "./api.js";

const LEAD_WINDOWS = 36;
const MOST_WINDOWS = 2000;

/** The chart of one incident, in the box its row keeps for it. It asks only while it can be seen. */
export class Chart {
  constructor(box) {
    this.box = box;
    this.plot = el("div", { class: "plot" });
    this.readout = el("p", { class: "readout" });
    box.append(this.plot, this.readout);
    this.seen = false;
    new IntersectionObserver(
      ([entry]) => {
        this.seen = entry.isIntersecting;
        if (this.seen) this.load();
      },
      { rootMargin: "200px" },
    ).observe(box);
    new ResizeObserver(() => this.draw()).observe(this.plot);
    box.addEventListener("pointermove", (event) => this.pointAt(event.clientX));
    box.addEventListener("pointerdown", (event) => this.pointAt(event.clientX));
    box.addEventListener("pointerleave", () => this.read(null));
    box.addEventListener("blur", () => this.read(null));
    box.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || !this.rows?.length) return;
      event.preventDefault();
      this.read(Math.min(this.rows.length - 1, Math.max(0, (this.at ?? this.rows.length) + step)));
    });
  }

  /** Takes the incident as it is now; loads again only when there is something new to see. */
  show(incident, { monitor, zone, expanded, onPeak }) {
    Object.assign(this, { incident, monitor, zone, onPeak, interval: (monitor?.interval_seconds ?? 300) * 1000 });
    if (expanded) this.box.setAttribute("tabindex", "0");
    else this.box.removeAttribute("tabindex");
    if (CERTAIN[incident.kind]) return this.say("nothing can be drawn", "hatched");
    const moving = incident.state === "open" || !this.settled;
    const wanted = `${incident.measure} ${place(incident.slices[0] ?? {})} ${incident.until} ${moving ? monitor?.closed_through : ""}`;
    if (wanted !== this.wanted) {
      this.wanted = wanted;
      this.stale = true;
      if (this.seen) this.load();
    }
  }

  async load() {
    if (!this.stale || CERTAIN[this.incident.kind]) return;
    this.stale = false;
    const { incident, interval, wanted } = this;
    const [opened, until] = [Date.parse(incident.opened_at), Date.parse(incident.until)];
    const around = Math.min(300, Math.max(LEAD_WINDOWS, (until - opened) / interval)) * interval;
    const from = opened - around;
    const to = Math.min(until + around / 3, from + MOST_WINDOWS * interval);
    const slice = Object.entries(incident.slices[0] ?? {}).map(([name, value]) => [`slice.${name}`, value]);
    try {
      const answer = await get(`monitors/${encodeURIComponent(incident.monitor)}/observations`, {
        measure: incident.measure,
        ...Object.fromEntries(slice),
        limit: MOST_WINDOWS,
        from: new Date(from).toISOString(),
        to: new Date(to).toISOString(),
      });
      if (wanted !== this.wanted) return;
      this.interval = answer.interval_seconds * 1000;
      this.cut = to < until;
      this.settled = Date.parse(this.monitor?.closed_through ?? 0) >= to;
      this.rows = answer.observations.map((o) => ({ ...o, start: Date.parse(o.time) }));
      if (!this.rows.length) return this.say("no stored windows left to draw: older than the retention");
      this.say("");
      this.draw();
      const worst = this.rows
        .filter((o) => this.inside(o))
        .reduce((a, b) => ((b.severity ?? -1) > (a?.severity ?? -1) ? b : a), null);
      if (worst && Math.abs(worst.severity - incident.severity.peak) < 0.5) this.onPeak?.(worst.time);
    } catch (error) {
      this.stale = true;
      if (!this.rows) this.say(`no chart: ${error.message}`);
    }
  }

  say(text, look = "") {
    this.plot.className = `plot ${look}`;
    if (!text) return;
    this.rows = null;
    this.plot.replaceChildren(el("p", { class: "soft" }, text));
    this.readout.replaceChildren();
  }

  inside(o) {
    return o.start >= Date.parse(this.incident.opened_at) && o.start < Date.parse(this.incident.until);
  }

  draw() {
    const { rows, interval, zone, incident, plot } = this;
    const [width, height] = [plot.clientWidth, plot.clientHeight];
    if (!rows?.length || width < 80) return;
    const box = { left: 44, right: width - 6, top: 6, bottom: height - 18 };
    const range = [rows[0].start, rows.at(-1).start + interval];
    const ticks = scale(rows, height > 150 ? 4 : 2);
    const cut = (value, low, high) => Math.min(high, Math.max(low, value)).toFixed(1);
    const x = (t) =>
      cut(box.left + ((t - range[0]) / (range[1] - range[0])) * (box.right - box.left), box.left, box.right);
    const y = (v) =>
      cut(box.bottom - ((v - ticks.low) / (ticks.high - ticks.low)) * (box.bottom - box.top), box.top, box.bottom);
    const mid = (o) => x(o.start + interval / 2);
    this.x = (o) => Number(mid(o));
    const near = (a, b) => b.start - a.start < interval * 1.5;
    const parts = [];

    for (const value of ticks.at) {
      parts.push(
        svg("line", { class: "grid", x1: box.left, x2: box.right, y1: y(value), y2: y(value) }),
        label(box.left - 6, Number(y(value)) + 4, number(value), "end"),
      );
    }
    rows.slice(1).forEach(
      (o, i) =>
        near(rows[i], o) ||
        parts.push(
          svg("rect", {
            class: "gap",
            x: x(rows[i].start + interval),
            y: box.top,
            width: Math.max(1, x(o.start) - x(rows[i].start + interval)),
            height: box.bottom - box.top,
          }),
        ),
    );
    for (const run of runs(rows, near, (o) => o.lower != null && o.upper != null)) {
      const edge = (key, list) => list.map((o) => `${mid(o)} ${y(o[key])}`).join("L");
      parts.push(svg("path", { class: "band", d: `M${edge("upper", run)}L${edge("lower", [...run].reverse())}Z` }));
    }
    const [first, last] = [incident.opened_at, incident.until].map((at) => Number(x(Date.parse(at))));
    const view = {
      x: first,
      y: 0,
      width: Math.max(1, last - first),
      height,
      viewBox: `${first} 0 ${Math.max(1, last - first)} ${height}`,
    };
    parts.push(svg("svg", view, svg("path", { class: "fill", d: this.outside(near, mid, y) })));
    const lines = (key) =>
      runs(rows, near, (o) => o[key] != null)
        .map((run) => `M${run.map((o) => `${mid(o)} ${y(o[key])}`).join("L")}${run.length === 1 ? "h.1" : ""}`)
        .join("");
    parts.push(
      svg("path", { class: "expected", d: lines("expected") }),
      svg("path", { class: "actual", d: lines("value") }),
    );

    const marks = [incident.opened_at, ...(incident.state === "closed" && !this.cut ? [incident.until] : [])];
    let free = box.left;
    marks.forEach((at, index) => {
      const px = Number(x(Date.parse(at)));
      parts.push(svg("line", { class: "mark", x1: px, x2: px, y1: box.top, y2: box.bottom + 4 }));
      if (index && px - free < 24) return;
      parts.push(label(Math.min(px, box.right - 16), height - 4, clock(at, zone), "middle"));
      if (!index && px - box.left > 70) parts.push(label(box.left, height - 4, clock(range[0], zone), "start"));
      free = px + 18;
    });
    if (box.right - free > 44) parts.push(label(box.right, height - 4, clock(range[1], zone), "end"));
    this.cursor = svg("line", { class: "cursor", y1: box.top, y2: box.bottom, x1: -9, x2: -9 });
    const worst = rows
      .filter((o) => this.inside(o) && o.value != null && o.expected != null)
      .reduce((a, b) => (a && Math.abs(a.value - a.expected) >= Math.abs(b.value - b.expected) ? a : b), null);
    const told = worst
      ? `; furthest off at ${clock(worst.time, zone)}: ${number(worst.value)}, expected ${number(worst.expected)}`
      : "";
    plot.replaceChildren(
      svg(
        "svg",
        {
          width,
          height,
          role: "img",
          "aria-label": `Chart of ${incident.measure}, ${place(incident.slices[0] ?? {})}, ${span(range[0], range[1], zone)}${told}`,
        },
        ...parts,
        this.cursor,
      ),
    );
    this.read(null);
  }

  /** What lies between the line and the band in anomalous windows, cut exactly where the line leaves the band. */
  outside(near, mid, y) {
    let path = "";
    this.rows.slice(1).forEach((b, i) => {
      const a = this.rows[i];
      if (!near(a, b) || (!this.inside(a) && !this.inside(b))) return;
      if ([a, b].some((o) => o.value == null || o.lower == null || o.upper == null)) return;
      for (const [edge, sign] of [
        ["upper", 1],
        ["lower", -1],
      ]) {
        const [over, next] = [a, b].map((o) => sign * (o.value - o[edge]));
        if (over <= 0 && next <= 0) continue;
        const part = over / (over - next);
        const between = (p, q) => p + (q - p) * part;
        const cross = `${between(Number(mid(a)), Number(mid(b))).toFixed(1)} ${between(Number(y(a.value)), Number(y(b.value))).toFixed(1)}`;
        const [av, ae, bv, be] = [
          [a, "value"],
          [a, edge],
          [b, "value"],
          [b, edge],
        ].map(([o, key]) => `${mid(o)} ${y(o[key])}`);
        path +=
          over > 0 && next > 0
            ? `M${ae}L${av}L${bv}L${be}Z`
            : over > 0
              ? `M${ae}L${av}L${cross}Z`
              : `M${cross}L${bv}L${be}Z`;
      }
    });
    return path;
  }

  pointAt(clientX) {
    if (!this.rows?.length) return;
    const px = clientX - this.plot.getBoundingClientRect().left;
    this.read(
      this.rows.reduce(
        (best, o, i) => (Math.abs(this.x(o) - px) < Math.abs(this.x(this.rows[best]) - px) ? i : best),
        0,
      ),
    );
  }

  /** Shows one window in words, or the legend. */
  read(index) {
    if (!this.rows?.length) return;
    this.at = index;
    const o = index == null ? null : this.rows[index];
    for (const end of ["x1", "x2"]) this.cursor?.setAttribute(end, o ? this.x(o) : -9);
    const key = (look, text) => el("span", { class: `key ${look}` }, text);
    if (!o) {
      this.readout.replaceChildren(
        el("span", {}, `${this.incident.measure} per ${duration(this.interval)}`),
        key("actual", "actual"),
        key("expected", "expected"),
        key("band", "usual range"),
        this.cut ? ` first ${number(MOST_WINDOWS)} windows` : "",
      );
      return;
    }
    const value = o.value == null ? "no value" : number(o.value);
    const expected =
      o.expected == null
        ? "nothing expected yet (learning)"
        : `expected ${number(o.expected)}${o.lower == null ? "" : ` (${number(o.lower)} to ${number(o.upper)})`}`;
    const severity =
      o.severity == null
        ? ""
        : `, ${severityWords(Math.max(o.severity, this.incident.kind === "minor" ? (o.minor ?? 0) : 0))}`;
    this.readout.replaceChildren(
      el("b", {}, `${dayClock(o.time, this.zone)} `),
      `${value}, ${expected}${severity}`,
      el("span", { class: "soft" }, ` ${clock(o.time, "UTC")} UTC`),
    );
  }
}

const label = (x, y, text, anchor) => svg("text", { x, y, "text-anchor": anchor }, text);

/** Runs of neighbouring windows that all have what is to be drawn. */
function runs(rows, near, has) {
  const found = [];
  rows.forEach((o, i) => {
    if (!has(o)) return;
    if (i && has(rows[i - 1]) && near(rows[i - 1], o)) found.at(-1).push(o);
    else found.push([o]);
  });
  return found;
}

/** The value axis: from zero where zero is near, and not stretched by a band that is much wider than the data. */
function scale(rows, steps) {
  const known = rows.flatMap((o) => [o.value, o.expected]).filter((value) => value != null);
  if (!known.length) return { low: 0, high: 1, at: [] };
  let [low, high] = [Math.min(...known), Math.max(...known)];
  const room = Math.max(high - low, Math.abs(high) * 0.05, 1e-9);
  const bands = rows.flatMap((o) => [o.lower, o.upper]).filter((value) => value != null);
  low = Math.max(low - room, Math.min(low, ...bands));
  high = Math.min(high + room, Math.max(high, ...bands));
  if (low < high * 0.6 && Math.min(...known) >= 0) low = 0;
  high += (high - low) * 0.04;
  const raw = (high - low) / steps || 1;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((factor) => factor * unit >= raw) * unit;
  const at = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) at.push(Number(value.toPrecision(12)));
  return { low, high: Math.max(high, low + 1e-9), at };
}
