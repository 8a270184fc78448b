// The chart of one series: grey is normal, colour is deviation. Works by mouse, finger, keys and as a table.

import "uplot/dist/uPlot.min.css";
import "./chart.css";

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";

import { Flags } from "./flags.tsx";
import { listen } from "./gestures.ts";
import { columnsOf, indexAt, lowerBound, wholeWindows, within, zoomed } from "./model.ts";
import { readPalette } from "./palette.ts";
import { optionsOf, repaint, type Stage, thin } from "./plot.ts";
import { Readout } from "./readout.tsx";
import { Table } from "./table.tsx";
import type { Point, Range, SeriesChartProps, SeriesData } from "./types.ts";
import { axisNumber, pointWords } from "./words.ts";

const EMPTY: SeriesData = { points: [], events: [], windowMillis: 60_000, windowsPerPoint: 1, zone: "UTC" };
/** A pan or zoom is told when it rests this long, so that the server is not asked at each step of it. */
const REST_MILLIS = 120;

export function SeriesChart(props: SeriesChartProps) {
  const { label, view, ghost = null, picked = null, marked = null, compact = false } = props;
  const data = props.data ?? EMPTY;
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const [size, setSize] = useState({ left: 0, width: 0 });
  const [shown, setShown] = useState(view);
  const anchor = useRef<number | null>(null);
  const latest = useRef(props);
  latest.current = props;

  const stage = useMemo<Stage>(() => {
    const scene = { data, isLoaded: props.data !== null, view, picked, marked, palette: readPalette() };
    return { scene, ghost, axisNumber };
  }, []);
  const moved = useRest((to: Range) => latest.current.onView?.(to));

  /** Shows another view at once and tells it when it rests. */
  const look = (to: Range): void => {
    if (!latest.current.onView) return;
    const next = within({ from: Math.round(to.from), to: Math.round(to.to) }, latest.current.bounds);
    stage.scene.view = next;
    if (plot.current) repaint(plot.current, next);
    setShown(next);
    moved(next);
  };
  const drag = (range: Range): void => {
    const { onMark, onView } = latest.current;
    const whole = wholeWindows(stage.scene.data, range);
    if (onMark) onMark(whole);
    else if (onView) look(zoomed(whole, 1, stage.scene.data.windowMillis));
  };
  const pick = (time: number): void => {
    const point = stage.scene.data.points[indexAt(stage.scene.data, time)];
    if (point) latest.current.onPick?.(point.time);
  };

  useEffect(() => {
    const place = host.current;
    if (!place) return;
    const made = new uPlot(optionsOf(stage, place.clientWidth, place.clientHeight), columnsOf(EMPTY, null) as uPlot.AlignedData, place);
    plot.current = made;
    const measure = (): void => setSize({ left: made.bbox.left / devicePixelRatio, width: made.bbox.width / devicePixelRatio });
    const quiet = listen(made, {
      pick,
      mark: drag,
      hover: (time) => {
        const at = time === null ? -1 : indexAt(stage.scene.data, time);
        setCursor(at < 0 ? null : at);
        if (time !== null) made.setCursor({ left: made.valToPos(time, "x"), top: 1 }, false);
      },
      pan: (share) => {
        const { from, to } = stage.scene.view;
        look({ from: from + (to - from) * share, to: to + (to - from) * share });
      },
      widen: () => look(zoomed(stage.scene.view, 2, stage.scene.data.windowMillis)),
    });
    const watch = new ResizeObserver(() => {
      if (place.clientWidth > 0) made.setSize({ width: place.clientWidth, height: place.clientHeight });
      measure();
    });
    watch.observe(place);
    const recolour = (): void => {
      stage.scene.palette = readPalette();
      made.redraw(true, true);
    };
    addEventListener("themechange", recolour);
    return () => {
      removeEventListener("themechange", recolour);
      watch.disconnect();
      quiet();
      made.destroy();
      plot.current = null;
    };
  }, []);

  useEffect(() => {
    Object.assign(stage.scene, { data, isLoaded: props.data !== null });
    stage.ghost = ghost;
    if (plot.current) thin(plot.current, data.windowsPerPoint > 1);
    plot.current?.setData(columnsOf(data, ghost) as uPlot.AlignedData, false);
    if (plot.current) repaint(plot.current, stage.scene.view);
    if (plot.current) setSize({ left: plot.current.bbox.left / devicePixelRatio, width: plot.current.bbox.width / devicePixelRatio });
  }, [props.data, ghost]);

  useEffect(() => {
    stage.scene.view = view;
    setShown(view);
  }, [view.from, view.to]);

  useEffect(() => {
    Object.assign(stage.scene, { picked, marked });
    if (plot.current) repaint(plot.current, stage.scene.view);
  }, [view.from, view.to, picked, marked?.from, marked?.to]);

  const point: Point | undefined = data.points[cursor ?? lastIn(data, shown)];
  const move = (to: number, mark: boolean): void => {
    const index = Math.max(0, Math.min(data.points.length - 1, to));
    const target = data.points[index];
    if (!target || !plot.current) return;
    setCursor(index);
    const middle = target.time + data.windowMillis / 2;
    if (middle < stage.scene.view.from || middle > stage.scene.view.to) {
      const half = (stage.scene.view.to - stage.scene.view.from) / 2;
      look({ from: middle - half, to: middle + half });
    }
    plot.current.setCursor({ left: plot.current.valToPos(middle, "x"), top: 1 }, false);
    anchor.current = mark ? (anchor.current ?? data.points[cursor ?? index]?.time ?? null) : null;
    if (mark && anchor.current !== null) latest.current.onMark?.(wholeWindows(data, { from: anchor.current, to: target.time }));
  };
  const keys = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = cursor ?? lastIn(data, shown);
    const steps: Record<string, number> = {
      ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at - 12, PageDown: at + 12,
      Home: lowerBound(data.points, shown.from), End: lastIn(data, shown),
    };
    const step = steps[event.key];
    if (step !== undefined) move(step, event.shiftKey);
    else if (event.key === "Enter" && point) latest.current.onPick?.(point.time);
    else if (event.key === "+" || event.key === "=") look(zoomed(shown, 0.5, data.windowMillis, point?.time));
    else if (event.key === "-") look(zoomed(shown, 2, data.windowMillis, point?.time));
    else if (event.key === "Escape" && marked) latest.current.onMark?.(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const text = point ? pointWords(point, data, props.unit) : null;
  return (
    <figure class={compact ? "chart compact" : "chart"} aria-label={`Chart of ${label}`}>
      <Flags events={data.events} view={shown} left={size.left} width={size.width} zone={data.zone} />
      <div
        class="chart-plot"
        ref={host}
        role="slider"
        tabIndex={0}
        aria-label={`${label}; arrow keys move through the windows${props.onPick ? ", Enter explains one" : ""}${props.onMark ? ", Shift marks a range" : ""}`}
        aria-valuemin={0}
        aria-valuemax={Math.max(0, data.points.length - 1)}
        aria-valuenow={Math.max(0, cursor ?? lastIn(data, shown))}
        aria-valuetext={text ? `${text.when}: ${text.what}` : "no windows"}
        onKeyDown={keys}
      />
      <Readout point={point} data={props.data} unit={props.unit} ghost={ghost} hovering={cursor !== null} />
      {!compact && <Table data={data} view={shown} unit={props.unit} label={label} />}
    </figure>
  );
}

/** The last point in a view. */
function lastIn(data: SeriesData, view: Range): number {
  return Math.max(0, lowerBound(data.points, view.to) - 1);
}

/** Calls when nothing new came for a while, with the last that came. */
function useRest<T>(call: (value: T) => void): (value: T) => void {
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (value) => {
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => call(value), REST_MILLIS);
  };
}
