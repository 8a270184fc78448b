// Mouse, finger and wheel on the plot. A short press picks, a drag marks, a sideways wheel or a two-finger swipe pans.

import type uPlot from "uplot";

import type { Range } from "./types.ts";

export interface Gestures {
  /** A press without a move. */
  pick: (time: number) => void;
  /** A drag that ended; never empty. */
  mark: (range: Range) => void;
  /** Sideways by a share of the view; positive is later. */
  pan: (share: number) => void;
  /** The pointer is over a time, or has left. */
  hover: (time: number | null) => void;
  /** A double press. */
  widen: () => void;
}

/** A move of fewer pixels is a shaky press. */
const SHAKY = 6;

export function listen(plot: uPlot, gestures: Gestures): () => void {
  const over = plot.over;
  let start: { x: number; id: number } | null = null;
  const place = (event: PointerEvent | MouseEvent): number => {
    const box = over.getBoundingClientRect();
    return Math.max(0, Math.min(box.width, event.clientX - box.left));
  };
  const time = (x: number): number => plot.posToVal(x, "x");
  const select = (from: number, to: number): void => {
    const height = over.clientHeight;
    plot.setSelect({ left: Math.min(from, to), width: Math.abs(to - from), top: 0, height }, false);
  };

  const down = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    start = { x: place(event), id: event.pointerId };
    over.setPointerCapture(event.pointerId);
  };
  const move = (event: PointerEvent): void => {
    const x = place(event);
    gestures.hover(time(x));
    if (start && event.pointerId === start.id && Math.abs(x - start.x) >= SHAKY) select(start.x, x);
  };
  const up = (event: PointerEvent): void => {
    if (!start || event.pointerId !== start.id) return;
    const [from, to] = [start.x, place(event)];
    start = null;
    select(0, 0);
    if (Math.abs(to - from) < SHAKY) gestures.pick(time(to));
    else gestures.mark({ from: time(Math.min(from, to)), to: time(Math.max(from, to)) });
  };
  const stop = (): void => {
    start = null;
    select(0, 0);
  };
  const leave = (event: PointerEvent): void => {
    if (event.pointerType === "mouse" && !start) gestures.hover(null);
  };
  const wheel = (event: WheelEvent): void => {
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (Math.abs(sideways) < 1 || (!event.shiftKey && Math.abs(event.deltaY) > Math.abs(event.deltaX))) return;
    event.preventDefault();
    gestures.pan(sideways / over.clientWidth);
  };
  const double = (): void => gestures.widen();

  over.addEventListener("pointerdown", down);
  over.addEventListener("pointermove", move);
  over.addEventListener("pointerup", up);
  over.addEventListener("pointercancel", stop);
  over.addEventListener("pointerleave", leave);
  over.addEventListener("wheel", wheel, { passive: false });
  over.addEventListener("dblclick", double);
  return () => {
    over.removeEventListener("pointerdown", down);
    over.removeEventListener("pointermove", move);
    over.removeEventListener("pointerup", up);
    over.removeEventListener("pointercancel", stop);
    over.removeEventListener("pointerleave", leave);
    over.removeEventListener("wheel", wheel);
    over.removeEventListener("dblclick", double);
  };
}
