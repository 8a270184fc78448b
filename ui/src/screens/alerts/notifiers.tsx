// Notifiers: whether they work, and a test that really sends.

import { useState } from "preact/hooks";

import { ApiError, post } from "../../shared/api.ts";
import { count } from "../../shared/numbers.ts";
import { Empty, Time } from "../../shared/parts.tsx";
import { duration } from "../../shared/time.ts";
import type { Notifier, TestOutcome } from "./wire.ts";

interface Common {
  zone: string | undefined;
  onTested: () => void;
}

export function NotifierList({ notifiers, ...common }: Common & { notifiers: Notifier[] }) {
  if (notifiers.length === 0) {
    return <Empty>No notifier is configured. One is written as <code>[notifiers.NAME]</code>: a webhook, an e-mail address, an SNS topic.</Empty>;
  }
  return (
    <ul class="rows">
      {notifiers.map((notifier) => <Row key={notifier.name} notifier={notifier} {...common} />)}
    </ul>
  );
}

function Row({ notifier, zone, onTested }: Common & { notifier: Notifier }) {
  const [said, setSaid] = useState<{ text: string; failed: boolean } | null>(null);
  const [isBusy, setBusy] = useState(false);
  const test = async (): Promise<void> => {
    setBusy(true);
    setSaid(null);
    try {
      const { ok, error, took_millis } = await post<TestOutcome>(`notifiers/${encodeURIComponent(notifier.name)}/test`);
      setSaid({ text: ok ? `The test arrived${took_millis >= 1000 ? ` after ${duration(took_millis)}` : ""}.` : `The test did not arrive: ${error}`, failed: !ok });
    } catch (failure) {
      setSaid({ text: `The test did not arrive: ${failure instanceof ApiError ? failure.message : String(failure)}`, failed: true });
    } finally {
      setBusy(false);
      onTested();
    }
  };
  const { name, kind, pending, failed_24h, last_success, last_error } = notifier;
  return (
    <li>
      <div class="headed">
        <div>
          <h3>{name} <span class="soft">{kind}</span></h3>
          <p>
            {failed_24h > 0 ? <b>{count(failed_24h, "message")} given up in the last 24 hours</b> : "None given up in the last 24 hours"}
            {pending > 0 && <>; <b>{pending} waiting</b></>}
            {last_success ? <>; last arrived <Time at={last_success} zone={zone} /></> : "; nothing has arrived yet"}
          </p>
          {last_error && <p class="soft">Last error: {last_error}</p>}
        </div>
        <button type="button" disabled={isBusy} onClick={() => void test()}>{isBusy ? "Sending …" : "Send a test"}</button>
      </div>
      <p role="status" class={said?.failed ? "told failed" : "told"}>{said?.text}</p>
    </li>
  );
}
