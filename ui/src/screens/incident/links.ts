// Addresses that an incident leads to.

import { href } from "../../shared/router.ts";
import { HOUR, rfc3339 } from "../../shared/time.ts";
import type { Incident, Slice } from "../../shared/types.ts";
import { sliceQuery } from "../../shared/words.ts";

/** The explorer on a slice of an incident, with some time around it. */
export function explorerHref(incident: Incident, slice: Slice, measure = incident.measure): string {
  const from = Date.parse(incident.opened_at);
  const to = Date.parse(incident.until);
  const around = Math.max(6 * HOUR, to - from);
  return href("/explorer", {
    monitor: incident.monitor,
    measure,
    ...sliceQuery(slice),
    from: rfc3339(from - around),
    to: rfc3339(to + around / 2),
  });
}
