// What runs: sources and monitors, for every screen. Asked once and renewed live.

import { type ComponentChildren, createContext } from "preact";
import { useContext } from "preact/hooks";

import { type Loaded, useGet } from "./load.ts";
import type { Monitor, Status } from "./types.ts";

const Context = createContext<Loaded<Status> | null>(null);

export function StatusProvider({ children }: { children: ComponentChildren }) {
  const status = useGet<Status>("status", {}, ["status"]);
  return <Context.Provider value={status}>{children}</Context.Provider>;
}

export function useStatus(): Loaded<Status> {
  const status = useContext(Context);
  if (!status) throw new Error("useStatus is used outside of StatusProvider");
  return status;
}

export const monitorOf = (status: Status | undefined, name: string): Monitor | undefined =>
  status?.monitors.find((monitor) => monitor.name === name);

/** The zone that most of the shop lives in: that of the first monitor. */
export const shopZone = (status: Status | undefined): string | undefined => status?.monitors[0]?.zone;

/** The zone of a monitor; until the status is there, that of the viewer. */
export function useZone(monitor?: string): string | undefined {
  const { data } = useStatus();
  return monitor === undefined ? shopZone(data) : monitorOf(data, monitor)?.zone;
}

/** The latest moment that the shop's data tell of: the "now" of a replay or simulation is not the wall clock's. */
export function shopNow(status: Status | undefined): number {
  const newest = (status?.monitors ?? []).map(({ closed_through }) => (closed_through ? Date.parse(closed_through) : 0));
  return Math.max(0, ...newest) || Date.parse(status?.now ?? "") || Date.now();
}
