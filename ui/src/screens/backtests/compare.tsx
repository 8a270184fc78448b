// Two backtests side by side, or one and what really was told.

import { useGet } from "../../shared/load.ts";
import { count } from "../../shared/numbers.ts";
import { CopyLink, Failure, Waiting } from "../../shared/parts.tsx";
import { severityWords } from "../../shared/severity.tsx";
import { dayClock, duration } from "../../shared/time.ts";
import { sentence } from "../../shared/words.ts";
import { Listed } from "../monitors/effect.tsx";
import { peakOf } from "../monitors/wire.ts";
import type { Backtest, Comparison } from "./wire.ts";

interface Props {
  a: string;
  b: string;
  all: Backtest[];
  zone: string | undefined;
}

export function Compare({ a, b, all, zone = "UTC" }: Props) {
  const found = useGet<Comparison>("backtests/compare", { a, b });
  const title = (id: string): string => (id === "live" ? "what really was told" : `“${all.find((one) => one.id === id)?.name || id}”`);
  const { data, error } = found;
  return (
    <div class="backtests">
      <header class="headed">
        <div>
          <p class="soft"><a href="/backtests">Backtests</a> › comparison</p>
          <h1>{data ? (b === "live" ? liveWords(data, title(a)) : words(data, title(a), title(b))) : `${sentence(title(a))} and ${title(b)}`}</h1>
        </div>
        <CopyLink />
      </header>
      {error && !data && <Failure error={error} retry={found.reload} />}
      {!data && !error && <Waiting height={300} />}
      {data && (
        <>
          {data.confirmed_lost.length > 0 && (
            <section class="listed">
              <h3>Confirmed incidents that are lost ({data.confirmed_lost.length})</h3>
              <ul>
                {data.confirmed_lost.map((one) => (typeof one === "string" ? <li key={one}>{one}</li> : <li key={one.id}>{sentence(one.summary)}</li>))}
              </ul>
            </section>
          )}
          <Listed title={`Only in ${title(b)}`} incidents={data.gained} zone={zone} />
          <Listed title={`Only in ${title(a)}`} incidents={data.lost} zone={zone} />
          {data.moved.length > 0 && (
            <section class="listed">
              <h3>In both, but moved ({data.moved.length})</h3>
              <ul>
                {data.moved.map(({ before, after, minutes_later }) => (
                  <li key={before.opened_at + after.opened_at}>
                    {sentence(after.summary)} <span class="soft">{dayClock(after.opened_at, zone)}; severity {severityWords(peakOf(before))} became {severityWords(peakOf(after))}
                    {minutes_later !== 0 && `, told ${duration(Math.abs(minutes_later) * 60_000)} ${minutes_later > 0 ? "later" : "earlier"}`}</span>
                  </li>
                ))}
              </ul>
            </section>
          )}
        </>
      )}
    </div>
  );
}

function liveWords({ gained, lost }: Comparison, a: string): string {
  if (gained.length + lost.length === 0) return `${a} tells just what really was told`;
  return `${a} tells ${count(lost.length, "incident")} that nobody was told of, and not ${gained.length} that really were told`;
}

function words({ gained, lost, moved, confirmed_lost }: Comparison, a: string, b: string): string {
  if (gained.length + lost.length + moved.length === 0) return `${sentence(a)} and ${b} tell the same`;
  const confirmed = confirmed_lost.length ? `${count(confirmed_lost.length, "confirmed one")} lost` : "no confirmed one lost";
  return `From ${a} to ${b}: ${gained.length} gained, ${lost.length} lost, ${moved.length} moved; ${confirmed}`;
}
