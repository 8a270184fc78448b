// The uPlot of a series chart: its lines, axes and hooks. Data, view and size come later.

import uPlot from "uplot";

import { drawChoice, drawDeviations, drawGround, drawRevised, type Scene } from "./draw.ts";
import { clock, DAY, day } from "../shared/time.ts";
import { heightOf } from "./model.ts";
import type { GhostPoint, Range } from "./types.ts";

/** What the hooks read at each paint. */
export interface Stage {
  scene: Scene;
  ghost: readonly GhostPoint[] | null;
  axisNumber: (value: number) => string;
}

const MINUTES = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720].map((minutes) => minutes * 60_000);
const DAYS = [1, 2, 7, 14, 28, 91, 182, 365].map((days) => days * DAY);
const EXPECTED = 3;
const ACTUAL = 5;
const LINE = 1.75;
/** Half the width of a day's name, in pixels. */
const DATE_ROOM = 20;

export function optionsOf(stage: Stage, width: number, height: number): uPlot.Options {
  const colour = (pick: (scene: Scene) => string) => () => pick(stage.scene);
  const line = (pick: (scene: Scene) => string, more: Partial<uPlot.Series> = {}): uPlot.Series => ({
    scale: "y",
    stroke: colour(pick),
    width: 1,
    points: { show: false },
    spanGaps: false,
    ...more,
  });
  const nothing = (): string => "transparent";
  const font = "12px system-ui, sans-serif";
  return {
    width,
    height,
    ms: 1,
    legend: { show: false },
    padding: [4, 18, 0, 0],
    tzDate: (time) => uPlot.tzDate(new Date(time), stage.scene.data.zone),
    cursor: { drag: { x: false, y: false, setScale: false }, y: false, points: { size: 7 } },
    scales: {
      x: { time: true, range: () => [stage.scene.view.from, stage.scene.view.to] },
      y: { range: () => heightOf(stage.scene.data, stage.scene.view, stage.ghost) },
    },
    axes: [
      {
        stroke: colour((scene) => scene.palette.soft),
        font,
        grid: { show: false },
        ticks: { stroke: colour((scene) => scene.palette.line), width: 1, size: 4 },
        incrs: [...MINUTES, ...DAYS],
        space: 76,
        size: 40,
        values: (plot, splits, __, ___, increment) => timeLabels(plot, splits, increment, stage.scene.data.zone),
      },
      {
        stroke: colour((scene) => scene.palette.soft),
        font,
        grid: { stroke: colour((scene) => scene.palette.line), width: 1 },
        ticks: { show: false },
        size: (_, values) => 14 + Math.max(3, ...(values ?? []).map((value) => value.length)) * 7,
        values: (_, splits) => splits.map((value) => (stage.scene.data.points.length ? stage.axisNumber(value) : "")),
      },
    ],
    series: [
      {},
      line(nothing),
      line(nothing),
      line((scene) => scene.palette.expected, { dash: [4, 4] }),
      line((scene) => scene.palette.ghost, { width: 1.5, dash: [1, 3], spanGaps: true }),
      line((scene) => scene.palette.ink, { width: LINE, points: { show: isSparse, size: 4, width: 0, fill: colour((scene) => scene.palette.ink) } }),
    ],
    bands: [
      { series: [2, 1], fill: colour((scene) => scene.palette.ribbon) },
    ],
    hooks: {
      drawAxes: [(plot) => drawGround(plot, stage.scene)],
      drawSeries: [(plot, index) => (index === EXPECTED ? drawDeviations(plot, stage.scene) : undefined)],
      draw: [(plot) => drawRevised(plot, stage.scene), (plot) => drawChoice(plot, stage.scene)],
    },
  };
}

/** The actual line is thinner where it stands for more windows than it has points. */
export function thin(plot: uPlot, isSampled: boolean): void {
  const line = plot.series[ACTUAL];
  if (line) line.width = isSampled ? 1 : LINE;
}

/** Dots where points are far apart, so that a lone value between gaps is seen. */
function isSparse(plot: uPlot, _: number, first: number, last: number): boolean {
  return (last - first) * 12 < plot.bbox.width / devicePixelRatio;
}

/** Times in the shop's zone; the day below the first one of each. Days that would be cut off are left out. */
function timeLabels(plot: uPlot, splits: number[], increment: number, zone: string): string[] {
  const width = plot.bbox.width / devicePixelRatio;
  let before = "";
  return splits.map((time) => {
    const x = plot.valToPos(time, "x");
    const date = x > width - DATE_ROOM || x < -DATE_ROOM ? "" : day(time, zone);
    if (increment >= DAY) return date;
    const isNew = date !== before && date !== "";
    if (isNew) before = date;
    return isNew ? `${clock(time, zone)}\n${date}` : clock(time, zone);
  });
}

/** Paints anew after the view, the choice or the theme changed. */
export function repaint(plot: uPlot, view: Range): void {
  plot.setScale("x", { min: view.from, max: view.to });
  plot.redraw(true, true);
}
