// What is wrong now, where it was off in the last hours, and whether all this can be trusted.

import "../incidents/incidents.css";
import "./overview.css";

import { useEffect, useState } from "preact/hooks";

import type { ScreenProps } from "../../app/routes.ts";
import { useKeys } from "../../shared/keys.ts";
import { Waiting } from "../../shared/parts.tsx";
import { go } from "../../shared/router.ts";
import { useStatus } from "../../shared/status.tsx";
import { rememberShown } from "../incidents/list.ts";
import { incidentHref } from "../incidents/row.tsx";
import { Health } from "./health.tsx";
import { Lanes, useLanes } from "./lanes.tsx";
import { behindOf, headlineOf, Lately, Now, useClosed, useOpen } from "./now.tsx";

const PATIENCE_MILLIS = 1_000;

export default function Overview({ place }: ScreenProps) {
  const { data: status, error } = useStatus();
  const open = useOpen();
  const closed = useClosed();
  const asked = useLanes(status?.monitors, place.query);
  const headline = open.data ? headlineOf(open.data.incidents, behindOf(status)) : "What is wrong now";
  const settled = [open, closed, asked.lanes].every((one) => !one.loading) && Boolean(status ?? error);
  const shown = useSettled(settled);
  useRowKeys();
  useEffect(() => {
    document.title = open.data ? `${headline} – Tidewatch` : "Tidewatch";
  }, [headline]);
  if (!shown) {
    return (
      <>
        <h1>{headline}</h1>
        <Waiting height={600} label="Asking what is wrong now" />
      </>
    );
  }
  return (
    <div class="overview">
      <h1 aria-live="polite">{headline}</h1>
      <div class="main-side">
        <Now open={open} />
        {Boolean(status?.monitors.length) && <Lanes {...asked} />}
        <Lately closed={closed} />
      </div>
      <aside aria-label="Sources and monitors">
        <Health />
      </aside>
    </div>
  );
}

/** Everything appears at once, so that nothing moves: when all is there, or when waiting for the rest takes too long. */
function useSettled(settled: boolean): boolean {
  const [shown, setShown] = useState(settled);
  useEffect(() => {
    if (settled) setShown(true);
    if (shown || settled) return;
    const timer = setTimeout(() => setShown(true), PATIENCE_MILLIS);
    return () => clearTimeout(timer);
  }, [settled]);
  return shown || settled;
}

/** j, k and Enter walk through the rows of the page, as in the list of incidents. */
function useRowKeys(): void {
  const [selected, setSelected] = useState<string>();
  const ids = () => [...document.querySelectorAll<HTMLElement>(".overview .row")].map((row) => row.dataset["id"] ?? "");
  const move = (step: number) => {
    const all = ids();
    const at = all.indexOf(selected ?? "");
    const next = all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + step))];
    setSelected(next);
  };
  useEffect(() => {
    for (const row of document.querySelectorAll<HTMLElement>(".overview .row")) {
      const here = row.dataset["id"] === selected;
      row.toggleAttribute("data-selected", here);
      if (here) row.scrollIntoView({ block: "nearest" });
    }
    rememberShown(ids());
  });
  useKeys([
    { key: "j", does: "next incident", run: () => move(1) },
    { key: "k", does: "previous incident", run: () => move(-1) },
    { key: "Enter", does: "open it", run: () => selected && go(incidentHref(selected)) },
    { key: "Escape", does: "select none", run: () => setSelected(undefined) },
    { key: "/", does: "find an incident", run: () => go("/incidents?find=") },
  ]);
}
