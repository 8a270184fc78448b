// The list as it is read: renewed in place, never moved. What is new waits until it is asked for.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { ApiError, get } from "../../shared/api.ts";
import { useGet } from "../../shared/load.ts";
import type { Query } from "../../shared/router.ts";
import type { Incident, Incidents } from "../../shared/types.ts";

export const PAGE = 50;

/** The order of the lists last shown, so that j and k go on from incident to incident. */
export let lastShown: string[] = [];

export function rememberShown(ids: string[]): void {
  lastShown = ids;
}

export interface Listed {
  incidents: Incident[] | undefined;
  /** Shown ones that no longer match. */
  gone: Set<string>;
  /** How many wait to be shown. */
  fresh: number;
  showFresh: () => void;
  /** There are older ones. */
  more: boolean;
  older: () => void;
  loadingOlder: boolean;
  error: ApiError | undefined;
  staleSince: number | undefined;
  reload: () => void;
}

export function useIncidents(question: Query): Listed {
  const first = useGet<Incidents>("incidents", { limit: PAGE, ...question }, ["incident"]);
  const key = JSON.stringify(question);
  const [shown, setShown] = useState<{ key: string; ids: string[] }>({ key: "", ids: [] });
  const [older, setOlder] = useState<{ key: string; list: Incident[]; next: string | null }>({ key: "", list: [], next: null });
  const [loadingOlder, setLoadingOlder] = useState(false);
  const [failed, setFailed] = useState<ApiError>();
  const known = useRef(new Map<string, Incident>());

  const extra = older.key === key ? older.list : [];
  const newest = first.data?.incidents;
  if (newest) for (const incident of [...extra, ...newest]) known.current.set(incident.id, incident);

  const all = newest && unique([...newest, ...extra]);
  const current = new Set(all?.map(({ id }) => id));
  const settled = shown.key === key;
  const ids = settled ? shown.ids : (all?.map(({ id }) => id) ?? []);
  const visible = new Set(ids);
  const fresh = settled && newest ? newest.filter(({ id }) => !visible.has(id)).length : 0;

  useEffect(() => {
    if (newest && !settled) setShown({ key, ids: newest.map(({ id }) => id) });
  }, [newest, key, settled]);

  const showFresh = useCallback(() => {
    setShown({ key, ids: all?.map(({ id }) => id) ?? [] });
  }, [key, all]);

  const next = older.key === key ? older.next : (first.data?.next ?? null);
  const loadOlder = async () => {
    if (!next || loadingOlder) return;
    setLoadingOlder(true);
    try {
      const answer = await get<Incidents>("incidents", { limit: PAGE, ...question, after: next });
      setOlder({ key, list: [...extra, ...answer.incidents], next: answer.next });
      setShown({ key, ids: [...ids, ...answer.incidents.map(({ id }) => id).filter((id) => !visible.has(id))] });
      setFailed(undefined);
    } catch (error) {
      setFailed(error instanceof ApiError ? error : new ApiError(String(error), 0));
    }
    setLoadingOlder(false);
  };

  const incidents = newest && ids.map((id) => known.current.get(id)).filter((one) => one !== undefined);
  return {
    incidents,
    // Beyond the first page an old one may simply not have been asked for again.
    gone: new Set(ids.filter((id) => !current.has(id) && !first.data?.next)),
    fresh,
    showFresh,
    more: next !== null,
    older: () => void loadOlder(),
    loadingOlder,
    error: first.error ?? failed,
    staleSince: first.data ? first.staleSince : undefined,
    reload: first.reload,
  };
}

function unique(incidents: Incident[]): Incident[] {
  const seen = new Set<string>();
  return incidents.filter(({ id }) => !seen.has(id) && seen.add(id));
}
