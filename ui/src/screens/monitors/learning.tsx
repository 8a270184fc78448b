// How far a monitor has learned, with the reason and the time left.

import { useGet } from "../../shared/load.ts";
import { count } from "../../shared/numbers.ts";
import { duration, near } from "../../shared/time.ts";
import type { LearningSeries, Monitor } from "../../shared/types.ts";
import { sentence } from "../../shared/words.ts";

interface Answer {
  learning: LearningSeries[];
}

/** In one sentence. */
export function learningWords(monitor: Monitor): string {
  const { num_series, num_learning, learning, interval_seconds } = monitor;
  if (num_series === 0) return "waits for its first closed window";
  if (learning) {
    const left = Math.max(0, learning.needed - learning.seen) * interval_seconds * 1000;
    return `is learning: ${learning.seen} of ${learning.needed} windows seen, about ${duration(left)} left`;
  }
  if (num_learning > 0) return `is still learning ${count(num_learning, "series", "series")}`;
  return num_series === 1 ? "has learned it" : "has learned them all";
}

/** Measure by measure, the one that needs longest first. */
export function Learning({ monitor, now }: { monitor: Monitor; now: string }) {
  const wanted = monitor.num_learning > 0 || monitor.learning ? `monitors/${encodeURIComponent(monitor.name)}/learning` : null;
  const { data } = useGet<Answer | LearningSeries[]>(wanted, {}, ["status"]);
  const list = Array.isArray(data) ? data : data?.learning;
  if (!list?.length) return null;
  return (
    <ul class="learning">
      {list.map(({ measure, series, seen, needed, reason, ready_at }) => (
        <li key={measure}>
          <b>{measure}</b>: {count(series, "series", "series")}, {seen} of {needed} windows seen
          {ready_at && `, ready about ${near(ready_at, now, monitor.zone)}`}. {sentence(reason)}
        </li>
      ))}
    </ul>
  );
}
