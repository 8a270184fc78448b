// Backtests that are not done yet are asked about until they are.

import { useEffect } from "preact/hooks";

import type { Backtest } from "./wire.ts";

const RENEW_MILLIS = 1_500;

export const isDone = ({ state }: Backtest): boolean => state !== "running" && state !== "queued";

/** Calls again and again while it is wanted. */
export function useRenewed(isWanted: boolean, renew: () => void): void {
  useEffect(() => {
    if (!isWanted) return;
    const timer = setInterval(() => document.hidden || renew(), RENEW_MILLIS);
    return () => clearInterval(timer);
  }, [isWanted, renew]);
}
