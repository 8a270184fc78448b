// Which address shows which screen. What an engineer opens at night comes with the page; the rest is loaded when it
// is first shown, or about to be.

import type { ComponentType } from "preact";

import Incident from "../screens/incident/index.tsx";
import Incidents from "../screens/incidents/index.tsx";
import Overview from "../screens/overview/index.tsx";
import type { Place } from "../shared/router.ts";

/** What every screen is given. */
export interface ScreenProps {
  place: Place;
  /** What the path names after the screen: an incident, a monitor. */
  id: string | undefined;
}

interface Route {
  path: string;
  /** In the navigation; screens without one are reached from others. */
  title: string;
  load: () => Promise<{ default: ComponentType<ScreenProps> }>;
}

export const ROUTES: Route[] = [
  { path: "/", title: "Overview", load: () => Promise.resolve({ default: Overview }) },
  { path: "/incidents", title: "Incidents", load: () => Promise.resolve({ default: Incidents }) },
  { path: "/explorer", title: "Explorer", load: () => import("../screens/explorer/index.tsx") },
  { path: "/monitors", title: "Monitors", load: () => import("../screens/monitors/index.tsx") },
  { path: "/calendar", title: "Calendar", load: () => import("../screens/calendar/index.tsx") },
  { path: "/backtests", title: "Backtests", load: () => import("../screens/backtests/index.tsx") },
  { path: "/alerts", title: "Alerts", load: () => import("../screens/alerts/index.tsx") },
];

const INCIDENT: Route = { path: "/incidents", title: "Incident", load: () => Promise.resolve({ default: Incident }) };

/** The route of a path and what it names; `undefined` for no such page. */
export function routeOf(path: string): { route: Route; id: string | undefined } | undefined {
  const [, first = "", second, ...rest] = path.split("/");
  const route = ROUTES.find((known) => known.path === `/${first}`);
  if (!route || rest.length) return undefined;
  const id = second ? decodeURIComponent(second) : undefined;
  return { route: id && route.path === "/incidents" ? INCIDENT : route, id };
}

/** Fetches a screen that is about to be wanted. */
export function fetchAhead(path: string): void {
  void routeOf(path)?.route.load();
}

/** Addresses of the page before this console, and of alerts that were sent in its time. */
export function moved(place: Location): string | undefined {
  const incident =
    new URLSearchParams(place.hash.slice(1)).get("incident") ??
    (place.pathname === "/" ? new URLSearchParams(place.search).get("incident") : null);
  return incident ? `/incidents/${encodeURIComponent(incident)}` : undefined;
}
