// Navigation and the strip that says which time is shown and whether it is fresh.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

import { type LiveState, onLiveState } from "../shared/live.ts";
import { Menu, Stale } from "../shared/parts.tsx";
import { useStatus } from "../shared/status.tsx";
import { chosenTheme, chooseTheme, type Theme } from "../shared/theme.ts";
import { fetchAhead, ROUTES } from "./routes.ts";

const ON_PHONES = 4;
const isIn = (path: string, route: string) => (route === "/" ? path === "/" : path === route || path.startsWith(`${route}/`));

export function Shell({ path, onHelp, children }: { path: string; onHelp: () => void; children: ComponentChildren }) {
  const status = useStatus();
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="/">
          Tidewatch
        </a>
        <nav class="wide" aria-label="Screens">
          {ROUTES.map(({ path: to, title }) => (
            <a href={to} onPointerEnter={() => fetchAhead(to)} aria-current={isIn(path, to) ? "page" : undefined}>
              {title}
            </a>
          ))}
        </nav>
        <p class="strip">
          <Zones />
          <Live />
        </p>
        <Settings onHelp={onHelp} version={status.data?.version} />
      </header>
      <main id="main" tabIndex={-1}>
        <Stale since={status.staleSince} error={status.error} />
        {children}
      </main>
      <nav class="foot" aria-label="Screens, at the foot">
        {ROUTES.slice(0, ON_PHONES).map(({ path: to, title }) => (
          <a href={to} aria-current={isIn(path, to) ? "page" : undefined}>
            {title}
          </a>
        ))}
        <Menu label="More">
          {(close) =>
            ROUTES.slice(ON_PHONES).map(({ path: to, title }) => (
              <a href={to} onClick={close} aria-current={isIn(path, to) ? "page" : undefined}>
                {title}
              </a>
            ))
          }
        </Menu>
      </nav>
    </>
  );
}

function Zones() {
  const { data } = useStatus();
  const zones = [...new Set(data?.monitors.map(({ zone }) => zone))];
  if (!zones.length) return null;
  const words = zones.length === 1 ? "All times are the shop's." : "Times are those of each monitor's own zone.";
  return <span title={`${words} Hover over one for UTC and your own.`}>{zones.length > 2 ? `${zones.length} time zones` : zones.join(", ")}</span>;
}

const LIVE: Record<LiveState, [string, string]> = {
  connecting: ["connecting", "The stream of updates is being opened."],
  live: ["live", "Updates come as they happen."],
  polling: ["every 5 s", "The stream of updates cannot be had now; the server is asked every 5 s instead."],
};

function Live() {
  const [state, setState] = useState<LiveState>("connecting");
  useEffect(() => onLiveState(setState), []);
  const [word, title] = LIVE[state];
  return (
    <span class={state === "live" ? "pulse on" : "pulse"} title={title}>
      {word}
    </span>
  );
}

const THEMES: [Theme, string][] = [
  ["auto", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

function Settings({ onHelp, version }: { onHelp: () => void; version: string | undefined }) {
  const [theme, setTheme] = useState(chosenTheme);
  return (
    <Menu label="Settings">
      {(close) => (
        <>
          <fieldset>
            <legend>Colours</legend>
            {THEMES.map(([value, title]) => (
              <label>
                <input
                  type="radio"
                  name="theme"
                  checked={theme === value}
                  onChange={() => {
                    chooseTheme(value);
                    setTheme(value);
                  }}
                />
                {title}
              </label>
            ))}
          </fieldset>
          <button
            type="button"
            class="plain"
            onClick={() => {
              close();
              onHelp();
            }}
          >
            Keys and severities <kbd>?</kbd>
          </button>
          <a href="/api/v1/openapi.json">The API</a>
          {version && <p class="soft">Tidewatch {version}</p>}
        </>
      )}
    </Menu>
  );
}
