// Whether what is shown can be trusted: sources, what is refused, what still learns, what alerts may cost.

import { useEffect, useRef } from "preact/hooks";

import { useGet } from "../../shared/load.ts";
import { count, exact, number } from "../../shared/numbers.ts";
import { Time } from "../../shared/parts.tsx";
import { useStatus } from "../../shared/status.tsx";
import { duration } from "../../shared/time.ts";
import type { LearningSeries, Monitor, Source, Status } from "../../shared/types.ts";

const LAG_WORTH_SAYING_MILLIS = 2_000;

export function Health() {
  const { data } = useStatus();
  if (!data) return null;
  return (
    <>
      <Sources status={data} />
      <Learning monitors={data.monitors} />
      <Budget monitors={data.monitors} />
      <Refused monitors={data.monitors} />
    </>
  );
}

function Sources({ status }: { status: Status }) {
  const pace = usePace(status);
  return (
    <section aria-labelledby="sources">
      <h2 id="sources">Sources</h2>
      <ul class="facts-list">
        {status.sources.map((source) => (
          <li class={source.state === "unreachable" ? "alarming" : ""}>
            {source.state === "unreachable" && <i class="shape hatched" />}
            <b>{source.name}</b> <span class="soft">{source.kind}</span>
            <span>{stateWords(source)}</span>
            {pace.get(source.name) !== undefined && <span class="soft">{number(pace.get(source.name), 3)} records/s</span>}
            {source.error && <p class="soft">{source.error}</p>}
          </li>
        ))}
      </ul>
      {status.sources.length === 0 && <p class="soft">No source is configured.</p>}
      <h2 class="second">Monitors</h2>
      <ul class="facts-list">
        {status.monitors.map((monitor) => (
          <li>
            <b>{monitor.name}</b>
            {monitor.closed_through ? (
              <span class="soft">
                judged up to <Time at={monitor.closed_through} zone={monitor.zone} />, {count(monitor.num_series, "series", "series")}
              </span>
            ) : (
              <span class="soft">waits for its first events</span>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function stateWords({ state, lag_millis }: Source): string {
  switch (state) {
    case "unreachable":
      return "NO DATA: it cannot be read";
    case "starting":
      return "connecting";
    case "ended":
      return "read to its end";
    default: {
      if (lag_millis === null) return state === "caught_up" ? "up to date" : "reading";
      return lag_millis > LAG_WORTH_SAYING_MILLIS ? `${duration(lag_millis)} behind` : `lag ${duration(lag_millis)}`;
    }
  }
}

/** Records per second of each source, over what was seen in the last minute. */
function usePace(status: Status): Map<string, number> {
  const seen = useRef(new Map<string, { at: number; records: number }[]>());
  const pace = new Map<string, number>();
  const now = performance.now();
  for (const { name, records } of status.sources) {
    const list = (seen.current.get(name) ?? []).filter(({ at }) => now - at < 60_000);
    if (list.at(-1)?.records !== records || !list.length) list.push({ at: now, records });
    seen.current.set(name, list);
    const [first] = list;
    if (first && now - first.at > 3_000) pace.set(name, ((records - first.records) / (now - first.at)) * 1000);
  }
  return pace;
}

function Learning({ monitors }: { monitors: Monitor[] }) {
  const learning = monitors.filter(({ num_learning, learning: whole }) => num_learning > 0 || whole);
  return (
    <section aria-labelledby="learning">
      <h2 id="learning">Learning</h2>
      {learning.length === 0 && <p class="soft">Every series is judged.</p>}
      <ul class="facts-list">
        {learning.map((monitor) => (
          <LearningOf key={monitor.name} monitor={monitor} />
        ))}
      </ul>
    </section>
  );
}

function LearningOf({ monitor }: { monitor: Monitor }) {
  const answer = useGet<{ learning?: LearningSeries[] } | LearningSeries[]>(`monitors/${encodeURIComponent(monitor.name)}/learning`);
  useEffect(answer.reload, [monitor.closed_through]);
  const list = Array.isArray(answer.data) ? answer.data : (answer.data?.learning ?? []);
  const { learning } = monitor;
  const left = learning && Math.max(0, learning.needed - learning.seen) * monitor.interval_seconds * 1000;
  return (
    <li>
      <b>{monitor.name}</b>
      {learning && left !== null ? (
        <>
          <span>
            {duration(left)} to go <span class="soft">({exact(learning.seen)} of {exact(learning.needed)} windows seen)</span>
          </span>
          <progress value={learning.seen} max={learning.needed} aria-label={`Learning of ${monitor.name}`} />
        </>
      ) : (
        <span>
          {exact(monitor.num_learning)} of {count(monitor.num_series, "series", "series")} not judged yet
        </span>
      )}
      {list.slice(0, 4).map(({ measure, series, seen, needed, reason, ready_at }) => (
        <p class="soft">
          {measure}: {count(series, "series", "series")}, {reason}
          {ready_at ? (
            <>
              , ready <Time at={ready_at} zone={monitor.zone} />
            </>
          ) : (
            needed > seen && `, ${duration((needed - seen) * monitor.interval_seconds * 1000)} of data to go`
          )}
        </p>
      ))}
    </li>
  );
}

/** What alert rules may cost and what came. */
function Budget({ monitors }: { monitors: Monitor[] }) {
  return (
    <section aria-labelledby="budget">
      <div class="section-head">
        <h2 id="budget">Alert budget</h2>
        <a href="/alerts">Alert rules</a>
      </div>
      <ul class="facts-list">
        {monitors.map(({ name, alert_rate: rate }) => (
          <li>
            <b>{name}</b>
            {rate?.nominal_per_week == null ? (
              <span class="soft">no alert rule: nobody is told</span>
            ) : (
              <>
                <span>
                  told {exact(rate.told_28_days)} in 28 days, {exact(rate.told_7_days)} in the last 7
                </span>
                <span class="soft">
                  its rules may cost {number(rate.nominal_per_week * 4, 2)} false alarms in 28 days
                  {!rate.is_measured && " (extrapolated)"}
                </span>
                {rate.nominal_per_week > 0 && (
                  <meter
                    value={rate.told_28_days}
                    max={Math.max(rate.nominal_per_week * 4, rate.told_28_days)}
                    aria-label={`Incidents told by ${name} against what its rules may cost`}
                  />
                )}
              </>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

const REASONS: Record<string, string> = { late: "too late", after_close: "after their window was closed", over_limit: "over a limit" };

/** Where events went that were not counted; nothing is lost silently. */
function Refused({ monitors }: { monitors: Monitor[] }) {
  const some = monitors.filter(({ totals }) => totals.events > totals.counted);
  if (!some.length) return null;
  return (
    <section aria-labelledby="refused">
      <h2 id="refused">Not counted</h2>
      <ul class="facts-list">
        {some.map(({ name, totals, rejected_by_reason, reject_samples }) => (
          <li>
            <b>{name}</b>
            <span>
              {exact(totals.events - totals.counted)} of {exact(totals.events)} events
            </span>
            <p class="soft">
              {[
                ...Object.entries(rejected_by_reason).map(([reason, amount]) => `${exact(amount)} ${reason.replaceAll("_", " ")}`),
                ...(["late", "after_close", "over_limit"] as const).filter((key) => totals[key]).map((key) => `${exact(totals[key])} ${REASONS[key]}`),
              ].join(", ")}
            </p>
            {reject_samples.length > 0 && (
              <details>
                <summary>The last refused ones</summary>
                {reject_samples.slice(-5).map(({ reason, detail, payload }) => (
                  <div class="sample">
                    <p>
                      {reason}: {detail}
                    </p>
                    <pre>{payload}</pre>
                  </div>
                ))}
              </details>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
