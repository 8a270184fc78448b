// Settings that are being tried: by form (keys) or by text, previewed as they change, saved on demand.

import { useEffect, useRef, useState } from "preact/hooks";

import { ApiError, post, put } from "../../shared/api.ts";
import type { Change, Config, Preview } from "./wire.ts";

/** A preview is asked for when typing rests. */
const REST_MILLIS = 400;
/** The server takes up to 20 s for each of two previews that it runs one after the other. */
const PATIENCE_MILLIS = 60_000;

export interface Editor {
  /** The text as it would be. */
  toml: string;
  /** Keys changed by the form. */
  change: Change;
  isChanged: boolean;
  isBusy: boolean;
  /** The last preview; of other settings than the present ones while `isFresh` does not hold. */
  preview: Preview | null;
  isFresh: boolean;
  error: ApiError | null;
  set: (key: string, value: string | number | null, before: string | number | null) => void;
  write: (toml: string) => void;
  reset: () => void;
  /** Orders a backtest of these settings over all that is stored; whether it was taken. */
  backtest: () => Promise<boolean>;
  /** The settings as they are now; `null` when they were not taken. */
  save: () => Promise<Config | null>;
}

export function useEditor(name: string, config: Config): Editor {
  const [change, setChange] = useState<Change>({});
  const [text, setText] = useState<string | null>(null);
  const [preview, setPreview] = useState<{ of: string; found: Preview } | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setBusy] = useState(false);
  const asked = useRef<AbortController | null>(null);
  const path = `monitors/${encodeURIComponent(name)}/config`;
  const isChanged = (text !== null && text !== config.toml) || Object.keys(change).length > 0;
  const body = text === null ? { set: change } : { toml: text };
  const of = JSON.stringify(body);

  useEffect(() => {
    asked.current?.abort();
    const control = (asked.current = new AbortController());
    const timer = setTimeout(async () => {
      try {
        const found = await post<Preview>(`${path}/preview`, body, control.signal, PATIENCE_MILLIS);
        if (control.signal.aborted) return;
        setPreview({ of, found });
        setError(null);
      } catch (failure) {
        if (!control.signal.aborted) setError(failure instanceof ApiError ? failure : new ApiError(String(failure), 0));
      }
    }, isChanged ? REST_MILLIS : 0);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [of]);

  return {
    toml: text ?? (isChanged && preview?.found.valid ? preview.found.toml : config.toml),
    change, isChanged, isBusy, error,
    preview: preview?.found ?? null,
    isFresh: preview?.of === of,
    set: (key, value, before) => {
      const next = { ...change, [key]: value };
      if (value === before) delete next[key];
      setChange(next);
    },
    // Text goes on from what the form made of it; the form then reads the text.
    write: (toml) => {
      setText(toml);
      setChange({});
    },
    reset: () => {
      setText(null);
      setChange({});
    },
    backtest: async () => {
      setBusy(true);
      setError(null);
      try {
        await post("backtests", { monitor: name, ...body });
        return true;
      } catch (failure) {
        setError(failure as ApiError);
        return false;
      } finally {
        setBusy(false);
      }
    },
    save: async () => {
      setBusy(true);
      setError(null);
      try {
        return await put<Config>(path, { ...body, revision: config.revision }, PATIENCE_MILLIS);
      } catch (failure) {
        const { message, status } = failure as ApiError;
        const stale = "The file was changed meanwhile. Reload this page to see it, then make your change again.";
        setError(new ApiError(status === 409 ? stale : message, status));
        return null;
      } finally {
        setBusy(false);
      }
    },
  };
}
