// Data for a screen: asked once, kept while it is shown, renewed when the server says that something changed.
// The last answer of each address is remembered, so going back shows it at once and renews it quietly.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { ApiError, get, type Params, url } from "./api.ts";
import { onLive, type Topic } from "./live.ts";

const REMEMBERED_MAX = 60;
/** After an answer that failed through no fault of the question. */
const RETRY_MILLIS = 5_000;
const remembered = new Map<string, unknown>();

export interface Loaded<T> {
  /** The last answer; kept when a renewal fails. */
  data: T | undefined;
  /** Why the last attempt failed. */
  error: ApiError | undefined;
  /** Since when renewals fail; milliseconds since the epoch. */
  staleSince: number | undefined;
  /** No answer yet. */
  loading: boolean;
  /** Asks again. */
  reload: () => void;
  /** Puts an answer in place, as after a change that the server confirmed. */
  set: (data: T) => void;
}

function remember(key: string, data: unknown): void {
  remembered.delete(key);
  remembered.set(key, data);
  const oldest = remembered.keys().next();
  if (remembered.size > REMEMBERED_MAX && !oldest.done) remembered.delete(oldest.value);
}

/**
 * The answer of GET `path`; a `null` path asks nothing. With topics it is renewed when the live stream tells of
 * one of them.
 */
export function useGet<T>(path: string | null, params: Params = {}, topics: readonly Topic[] = []): Loaded<T> {
  const key = path === null ? "" : url(path, params);
  const [, renew] = useState(0);
  const state = useRef<{ key: string; data?: T; error?: ApiError; staleSince?: number; pending: boolean }>({
    key: "",
    pending: false,
  });
  const asked = useRef<AbortController | null>(null);
  const again = useRef(0);
  if (state.current.key !== key) {
    state.current = { key, data: remembered.get(key) as T | undefined, pending: key !== "" };
  }

  const ask = useCallback(async () => {
    if (path === null) return;
    asked.current?.abort();
    clearTimeout(again.current);
    const control = (asked.current = new AbortController());
    try {
      const data = await get<T>(path, params, control.signal);
      if (control.signal.aborted) return;
      remember(key, data);
      state.current = { key, data, pending: false };
    } catch (error) {
      if (control.signal.aborted) return;
      const failure = error instanceof ApiError ? error : new ApiError(String(error), 0);
      const { data, staleSince } = state.current;
      state.current = { key, data, error: failure, staleSince: staleSince ?? Date.now(), pending: false };
      if (failure.status === 0 || failure.status >= 500) again.current = window.setTimeout(() => void ask(), RETRY_MILLIS);
    }
    renew((turn) => turn + 1);
  }, [key]);

  useEffect(() => {
    void ask();
    return () => {
      asked.current?.abort();
      clearTimeout(again.current);
    };
  }, [ask]);

  useEffect(() => (topics.length ? onLive(topics, () => void ask()) : undefined), [ask, topics.join()]);

  const set = useCallback(
    (data: T) => {
      remember(key, data);
      state.current = { key, data, pending: false };
      renew((turn) => turn + 1);
    },
    [key],
  );

  const { data, error, staleSince, pending } = state.current;
  return { data, error, staleSince, loading: pending && data === undefined, reload: () => void ask(), set };
}
