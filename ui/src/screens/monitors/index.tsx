// Monitors: the list, one monitor with its settings, or a new one from sample records.

import "./monitors.css";

import type { ScreenProps } from "../../app/routes.ts";
import { Failure, Waiting } from "../../shared/parts.tsx";
import { monitorOf, useStatus } from "../../shared/status.tsx";
import { MonitorList } from "./list.tsx";
import { NewMonitor } from "./new.tsx";
import { OneMonitor } from "./one.tsx";

export default function Monitors({ place, id }: ScreenProps) {
  const status = useStatus();
  if (place.query.has("new")) return <NewMonitor />;
  if (!status.data) return status.error ? <Failure error={status.error} retry={status.reload} /> : <Waiting height={300} />;
  if (id === undefined) return <MonitorList status={status.data} />;
  const monitor = monitorOf(status.data, id);
  if (monitor) return <OneMonitor key={monitor.name} monitor={monitor} now={status.data.now} place={place} />;
  return <p class="empty">There is no monitor <b>{id}</b>. <a href="/monitors">All monitors</a></p>;
}
