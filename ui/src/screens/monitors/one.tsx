// One monitor: its state in a sentence, and its settings with a preview of what a change would have done.

import { useState } from "preact/hooks";

import { useGet } from "../../shared/load.ts";
import { count } from "../../shared/numbers.ts";
import { Failure, Waiting } from "../../shared/parts.tsx";
import { go, type Place, setQuery } from "../../shared/router.ts";
import { duration } from "../../shared/time.ts";
import type { Monitor } from "../../shared/types.ts";
import { EffectLists, EffectSentence, ProblemList } from "./effect.tsx";
import { Form } from "./form.tsx";
import { Learning, learningWords } from "./learning.tsx";
import { Toml } from "./toml.tsx";
import { useEditor } from "./use-editor.ts";
import type { Config } from "./wire.ts";

export function OneMonitor({ monitor, now, place }: { monitor: Monitor; now: string; place: Place }) {
  const config = useGet<Config>(`monitors/${encodeURIComponent(monitor.name)}/config`);
  const [saved, setSaved] = useState("");
  return (
    <div class="monitors">
      <header class="headed">
        <div>
          <p class="soft"><a href="/monitors">Monitors</a> › {monitor.name}</p>
          <h1>
            {monitor.name} watches {count(monitor.num_series, "series", "series")} every{" "}
            {duration(monitor.interval_seconds * 1000)}; it {learningWords(monitor)}
          </h1>
        </div>
        <div class="actions">
          <a class="button" href={`/explorer?monitor=${encodeURIComponent(monitor.name)}`}>Explore</a>
          <a class="button" href={`/calendar?monitor=${encodeURIComponent(monitor.name)}`}>Calendar</a>
          <a class="button" href={`/alerts?monitor=${encodeURIComponent(monitor.name)}`}>Alerts</a>
        </div>
      </header>
      <Learning monitor={monitor} now={now} />
      {config.error && !config.data && <Failure error={config.error} retry={config.reload} />}
      {config.loading && <Waiting height={300} />}
      {config.data && (
        <Editor key={config.data.revision} monitor={monitor} config={config.data} asText={place.query.get("view") === "toml"}
          isSaved={saved === config.data.revision}
          onSaved={(now) => { setSaved(now.revision); config.set(now); }} />
      )}
    </div>
  );
}

interface EditorProps {
  monitor: Monitor;
  config: Config;
  asText: boolean;
  isSaved: boolean;
  onSaved: (config: Config) => void;
}

function Editor({ monitor, config, asText, isSaved, onSaved }: EditorProps) {
  const editor = useEditor(monitor.name, config);
  const save = async (): Promise<void> => {
    const now = await editor.save();
    if (now) onSaved(now);
  };
  const { preview } = editor;
  const isTried = editor.isFresh ? preview?.valid : editor.error !== null;
  const canSave = config.editable && editor.isChanged && !editor.isBusy && isTried;
  return (
    <div class="editor">
      <section aria-label="Settings">
        <div class="actions tabs" role="group" aria-label="How settings are shown">
          <button type="button" aria-pressed={!asText} onClick={() => setQuery({ view: undefined })}>Form</button>
          <button type="button" aria-pressed={asText} onClick={() => setQuery({ view: "toml" })}>TOML</button>
          {config.file && <span class="soft small">{config.file}</span>}
        </div>
        {!config.editable && <p class="note">These settings cannot be changed here: {config.why_not}</p>}
        {asText ? (
          <Toml text={editor.toml} problems={preview?.problems ?? []} readOnly={!config.editable} onChange={editor.write} />
        ) : (
          <Form monitor={monitor} toml={config.toml} text={editor.toml} change={editor.change} disabled={!config.editable} onChange={editor.set} />
        )}
      </section>
      <section class="tried" aria-label="What this would have done" aria-live="polite">
        <div class="sum">
          <h2>What this would have done</h2>
          <ProblemList problems={preview?.problems ?? []} />
          <EffectSentence editor={editor} />
          {editor.error && <Failure error={editor.error} />}
          <div class="actions">
            <button type="button" class="primary" disabled={!canSave} onClick={() => void save()}>Save</button>
            <button type="button" disabled={!editor.isChanged} onClick={editor.reset}>Discard changes</button>
            {editor.isChanged && (
              <button type="button" disabled={editor.isBusy || !editor.isFresh || !preview?.valid} title="Goes through all that is stored and makes a report"
                onClick={() => void editor.backtest().then((taken) => taken && go("/backtests"))}>
                Backtest
              </button>
            )}
            {isSaved && !editor.isChanged && <span role="status">Saved and in force.</span>}
          </div>
        </div>
        <EffectLists editor={editor} zone={monitor.zone} />
        {editor.isChanged && preview && preview.diff.length > 0 && (
          <details>
            <summary>What changes in the file</summary>
            <pre class="diff">{preview.diff.join("\n")}</pre>
          </details>
        )}
      </section>
    </div>
  );
}
