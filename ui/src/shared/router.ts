// The address: everything chosen lives in it, so that back works and every view is a link.

import { useEffect, useState } from "preact/hooks";

/** Where we are. */
export interface Place {
  path: string;
  query: URLSearchParams;
}

/** Parameters of an address; `undefined` and empty ones are left out. */
export type Query = Record<string, string | number | undefined | null>;

const listeners = new Set<() => void>();

/** An address within the console. */
export function href(path: string, query: Query = {}): string {
  const kept = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(kept.map(([key, value]) => [key, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

/** Goes there; `replace` leaves no step for "back", as fits a slider that is being dragged. */
export function go(address: string, { replace = false } = {}): void {
  if (address === location.pathname + location.search) return;
  const samePage = new URL(address, location.href).pathname === location.pathname;
  if (replace) history.replaceState(history.state, "", address);
  else history.pushState(null, "", address);
  for (const listener of [...listeners]) listener();
  if (!samePage) scrollTo(0, 0);
}

/** Changes parameters of the present address; `undefined` removes one. */
export function setQuery(change: Query, options: { replace?: boolean } = {}): void {
  const query = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(change)) {
    if (value === undefined || value === null || value === "") query.delete(key);
    else query.set(key, String(value));
  }
  const text = query.toString();
  go(text ? `${location.pathname}?${text}` : location.pathname, options);
}

const here = (): Place => ({ path: location.pathname, query: new URLSearchParams(location.search) });

/** Where we are, renewed when it changes. */
export function usePlace(): Place {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    const renew = () => setPlace(here());
    listeners.add(renew);
    addEventListener("popstate", renew);
    return () => {
      listeners.delete(renew);
      removeEventListener("popstate", renew);
    };
  }, []);
  return place;
}

/** Makes plain links of this origin change the page without loading it anew. */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || link.target || link.origin !== location.origin || link.hasAttribute("download")) return;
  if (link.hash && link.pathname === location.pathname && link.search === location.search) return;
  if (/^\/(api|metrics|health)(\/|$)/.test(link.pathname)) return;
  event.preventDefault();
  go(link.pathname + link.search);
}
