// Backtests: the stored past under other settings. Run one, watch it, compare two, open a report.

import "./backtests.css";

import { useState } from "preact/hooks";

import type { ScreenProps } from "../../app/routes.ts";
import { useGet } from "../../shared/load.ts";
import { count, percent } from "../../shared/numbers.ts";
import { Empty, Failure, Stale, Waiting } from "../../shared/parts.tsx";
import { href } from "../../shared/router.ts";
import { useStatus } from "../../shared/status.tsx";
import { Compare } from "./compare.tsx";
import { One } from "./one.tsx";
import { Row } from "./row.tsx";
import { Run } from "./run.tsx";
import { isDone, useRenewed } from "./progress.ts";
import type { Backtest } from "./wire.ts";

export default function Backtests({ place, id }: ScreenProps) {
  const status = useStatus();
  const list = useGet<{ backtests: Backtest[] }>("backtests");
  const [chosen, setChosen] = useState<string[]>([]);
  const [isRunning, setRunning] = useState(false);
  const all = list.data?.backtests ?? [];
  useRenewed(all.some((one) => !isDone(one)), list.reload);
  if (list.error && !list.data) return <Failure error={list.error} retry={list.reload} />;
  if (!list.data || !status.data) return <Waiting height={400} />;
  const { monitors } = status.data;
  const zone = (monitor: string): string | undefined => monitors.find(({ name }) => name === monitor)?.zone;
  const [a, b] = [place.query.get("a"), place.query.get("b")];
  if (id) {
    const backtest = all.find((one) => one.id === id);
    return backtest ? <One backtest={backtest} zone={zone(backtest.monitor)} /> : <p class="empty">There is no backtest {id}. <a href="/backtests">All backtests</a></p>;
  }
  if (a && b) return <Compare a={a} b={b} all={all} zone={zone(all.find((one) => one.id === a)?.monitor ?? "")} />;
  const choose = (one: string): void => setChosen(chosen.includes(one) ? chosen.filter((other) => other !== one) : [...chosen.slice(-1), one]);
  return (
    <div class="backtests">
      <header class="headed">
        <h1>{headline(all)}</h1>
        <div class="actions">
          <button type="button" class="primary" aria-expanded={isRunning} onClick={() => setRunning(!isRunning)}>Run a backtest</button>
        </div>
      </header>
      <Stale since={list.staleSince} error={list.error} />
      {isRunning && <Run monitors={monitors} onStarted={() => { setRunning(false); list.reload(); }} />}
      {all.length === 0 && (
        <Empty>A backtest goes through the stored windows of a monitor with settings of your choice and lists what would have
          been told. Nothing is sent and nothing is changed. None has been run yet.</Empty>
      )}
      {all.length > 0 && (
        <p class="actions">
          {chosen.length === 2 ? (
            <a class="button" href={href("/backtests", { a: chosen[0], b: chosen[1] })}>Compare the two</a>
          ) : chosen.length === 1 ? (
            <a class="button" href={href("/backtests", { a: chosen[0], b: "live" })}>Compare with what really was told</a>
          ) : (
            <span class="soft">Tick one to compare it with what really was told, or two to compare them.</span>
          )}
        </p>
      )}
      <ul class="rows">
        {all.map((one) => (
          <Row key={one.id} backtest={one} zone={zone(one.monitor)} isChosen={chosen.includes(one.id)} onChoose={() => choose(one.id)}
            onRemoved={() => { setChosen(chosen.filter((other) => other !== one.id)); list.reload(); }} />
        ))}
      </ul>
    </div>
  );
}

function headline(all: Backtest[]): string {
  const running = all.filter((one) => !isDone(one));
  if (all.length === 0) return "Backtests: try settings on the past";
  const first = running.find(({ state }) => state === "running");
  if (running.length === 0) return count(all.length, "backtest");
  return `${count(all.length, "backtest")}; ${running.length} not done yet${first ? `, ${percent(first.progress)} of “${first.name ?? first.id}”` : ""}`;
}
