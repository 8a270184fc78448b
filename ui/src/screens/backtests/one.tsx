// What one backtest found.

import { url } from "../../shared/api.ts";
import { useGet } from "../../shared/load.ts";
import { count } from "../../shared/numbers.ts";
import { Empty, Failure, Waiting } from "../../shared/parts.tsx";
import { href } from "../../shared/router.ts";
import { Listed } from "../monitors/effect.tsx";
import { peakOf } from "../monitors/wire.ts";
import type { Backtest, Result } from "./wire.ts";

export function One({ backtest, zone = "UTC" }: { backtest: Backtest; zone: string | undefined }) {
  const { id, name, monitor, summary } = backtest;
  const result = useGet<Result>(`backtests/${encodeURIComponent(id)}`);
  const found = (result.data?.incidents ?? []).toSorted((one, other) => peakOf(other) - peakOf(one));
  return (
    <div class="backtests">
      <header class="headed">
        <div>
          <p class="soft"><a href="/backtests">Backtests</a> › {name || id}</p>
          <h1>{result.data ? `${count(found.length, "incident")} in the backtest “${name || id}” of ${monitor}` : `Backtest “${name || id}”`}</h1>
          {summary && <p class="soft">{summary}</p>}
        </div>
        <div class="actions">
          <a class="button" href={href("/backtests", { a: id, b: "live" })}>Compare with what really was told</a>
          <a class="button" href={url(`backtests/${encodeURIComponent(id)}/report`)} target="_blank" rel="noreferrer">Report</a>
        </div>
      </header>
      {result.error && !result.data && <Failure error={result.error} retry={result.reload} />}
      {result.loading && <Waiting height={300} />}
      {result.data && found.length === 0 && <Empty>Nothing would have been told in that time.</Empty>}
      <Listed title="The most severe first" incidents={found} zone={zone} />
    </div>
  );
}
