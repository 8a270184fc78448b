// A guided start: paste some records, read what was found in them, take the configuration.

import { useState } from "preact/hooks";

import { type ApiError, post } from "../../shared/api.ts";
import { Failure } from "../../shared/parts.tsx";
import { go } from "../../shared/router.ts";
import { ProblemList } from "./effect.tsx";
import { Toml } from "./toml.tsx";
import type { Problem, Proposal } from "./wire.ts";

/** The new monitor is taken in before the answer comes. */
const PATIENCE_MILLIS = 60_000;
const EXAMPLE = `{"event_time":"2026-03-03T14:05:11Z","type":"purchase","country":"DE","device":"ios","total":59.9}
{"event_time":"2026-03-03T14:05:12Z","type":"page_view","country":"US","device":"web"}`;

export function NewMonitor() {
  const [name, setName] = useState("shop");
  const [samples, setSamples] = useState("");
  const [found, setFound] = useState<Proposal | null>(null);
  const [toml, setToml] = useState("");
  const [problems, setProblems] = useState<Problem[]>([]);
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setBusy] = useState(false);

  const run = async (work: () => Promise<void>): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      await work();
    } catch (failure) {
      setError(failure as ApiError);
    } finally {
      setBusy(false);
    }
  };
  const propose = (): Promise<void> =>
    run(async () => {
      const proposal = await post<Proposal>("propose", { samples, name });
      setFound(proposal);
      setToml(proposal.toml);
      setProblems([]);
    });
  const create = (): Promise<void> =>
    run(async () => {
      const answer = await post<{ valid: boolean; problems: Problem[] }>("monitors", { name, toml }, undefined, PATIENCE_MILLIS);
      setProblems(answer.problems);
      if (answer.valid) go(`/monitors/${encodeURIComponent(name)}`);
    });

  return (
    <div class="monitors">
      <header>
        <p class="soft"><a href="/monitors">Monitors</a> › new</p>
        <h1>Paste some of your records: Tidewatch proposes what to watch</h1>
      </header>
      <form class="settings" onSubmit={(event) => { event.preventDefault(); void propose(); }}>
        <label class="field">
          <span>Records: JSON (one per line or a list), CSV with a header; 20 to 200 are best. They stay on this server and are not kept.</span>
          <textarea class="code" rows={8} value={samples} placeholder={EXAMPLE} spellcheck={false} required
            onInput={(event) => setSamples(event.currentTarget.value)} />
        </label>
        <div class="actions">
          <label class="actions">Name <input value={name} required pattern="[A-Za-z0-9_\-]+" onInput={(event) => setName(event.currentTarget.value)} /></label>
          <button type="submit" class={found ? "" : "primary"} disabled={isBusy || !samples.trim()}>Propose</button>
        </div>
      </form>
      {error && <Failure error={error} />}
      {found && <Found found={found} />}
      {found && (
        <section class="settings" aria-label="The configuration">
          <h2>The configuration; change what you know better</h2>
          <Toml text={toml} problems={problems} onChange={setToml} />
          <ProblemList problems={problems} />
          <div class="actions">
            <button type="button" class="primary" disabled={isBusy} onClick={() => void create()}>Create monitor {name}</button>
          </div>
        </section>
      )}
    </div>
  );
}

function Found({ found }: { found: Proposal }) {
  return (
    <section aria-label="What was found" aria-live="polite">
      <h2>What was found</h2>
      <dl class="found">
        <div><dt>Format</dt><dd>{found.format}</dd></div>
        <div><dt>Time</dt><dd>{found.timestamp}</dd></div>
        <div><dt>Windows of</dt><dd>{found.interval}</dd></div>
        <div>
          <dt>Dimensions</dt>
          <dd>{found.dimensions.map(({ name, values }) => `${name} (${values.slice(0, 5).join(", ")}${values.length > 5 ? ", …" : ""})`).join("; ") || "none"}</dd>
        </div>
        <div><dt>Measures</dt><dd>{found.measures.map(({ name, settings }) => <div key={name}>{name} <code class="soft">{settings}</code></div>)}</dd></div>
      </dl>
      {found.notes.length > 0 && <ul class="reasons">{found.notes.map((note) => <li key={note}>{note}</li>)}</ul>}
    </section>
  );
}
