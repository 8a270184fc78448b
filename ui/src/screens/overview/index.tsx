// What is wrong now, where it was off in the last hours, and whether all this can be trusted.

import "../incidents/incidents.css";
import "./overview.css";

import { useEffect, useState } from "preact/hooks";

import type { ScreenProps } from "../../app/routes.ts";
import { useKeys } from "../../shared/keys.ts";
import { go } from "../../shared/router.ts";
import { useStatus } from "../../shared/status.tsx";
import { rememberShown } from "../incidents/list.ts";
import { incidentHref } from "../incidents/row.tsx";
import { Health } from "./health.tsx";
import { Lanes } from "./lanes.tsx";
import { behindOf, headlineOf, Lately, Now, useOpen } from "./now.tsx";

export default function Overview({ place }: ScreenProps) {
  const { data: status } = useStatus();
  const open = useOpen();
  const headline = open.data ? headlineOf(open.data.incidents, behindOf(status)) : "What is wrong now";
  useRowKeys();
  useEffect(() => {
    document.title = open.data ? `${headline} – Tidewatch` : "Tidewatch";
  }, [headline]);
  return (
    <div class="overview">
      <h1 aria-live="polite">{headline}</h1>
      <div class="main-side">
        <Now open={open} />
        {status && <Lanes monitors={status.monitors} query={place.query} />}
        <Lately />
      </div>
      <aside aria-label="Sources and monitors">
        <Health />
      </aside>
    </div>
  );
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
