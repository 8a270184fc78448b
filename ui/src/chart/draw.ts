// What uPlot does not draw by itself: hatching, learning, events' spans, and the fill of anomalous windows.

import type uPlot from "uplot";

import { ANOMALOUS, edgeOf, gapsOf, indicesIn, isAnomalous, isOutside, extentOf, learningOf } from "./model.ts";
import type { Palette } from "./palette.ts";
import type { Point, Range, SeriesData } from "./types.ts";

/** From this severity on, small and slow deviations are listed; they get a grey foot mark and no fill. */
const MINOR = 70;

/** What one paint is about. */
export interface Scene {
  data: SeriesData;
  /** An answer has come; before, nothing is said of what is missing. */
  isLoaded: boolean;
  view: Range;
  picked: number | null;
  marked: Range | null;
  palette: Palette;
}

/** Under the lines: where there is no data, no opinion, a special time, a choice. */
export function drawGround(plot: uPlot, scene: Scene): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const event of scene.data.events) shade(plot, event, scene.palette.event);
  const hatching = hatch(ctx, scene.palette.hatch);
  const isEmpty = scene.isLoaded && scene.data.points.length === 0;
  for (const gap of isEmpty ? [scene.view] : gapsOf(scene.data)) {
    if (!shade(plot, gap, hatching)) continue;
    word(plot, gap, "no data", scene.palette.soft);
  }
  const learning = learningOf(scene.data);
  if (learning) word(plot, learning, "learning", scene.palette.soft);
  ctx.restore();
}

/** Over the lines: the range or the window that is being talked about. */
export function drawChoice(plot: uPlot, { data, marked, picked, palette }: Scene): void {
  if (marked) shade(plot, marked, palette.marked);
  if (picked === null) return;
  const range = { from: picked, to: picked + data.windowMillis };
  if (!shade(plot, range, palette.marked)) return;
  const { ctx, bbox } = plot;
  const middle = plot.valToPos((range.from + range.to) / 2, "x", true);
  const size = 6 * devicePixelRatio;
  ctx.fillStyle = palette.ink;
  ctx.beginPath();
  ctx.moveTo(middle - size, bbox.top);
  ctx.lineTo(middle + size, bbox.top);
  ctx.lineTo(middle, bbox.top + 1.5 * size);
  ctx.fill();
}

/** A hollow dot where a window stood when it was judged, before late records changed it. */
export function drawRevised(plot: uPlot, { data, view, palette }: Scene): void {
  const { ctx } = plot;
  const [first, last] = indicesIn(data.points, view);
  ctx.save();
  ctx.strokeStyle = palette.soft;
  ctx.lineWidth = devicePixelRatio;
  for (let index = first; index < last; index += 1) {
    const { revised, asClosed, value, time } = data.points[index] as Point;
    const at = asClosed ?? value;
    if (!revised || at === null) continue;
    const x = plot.valToPos(time + data.windowMillis / 2, "x", true);
    ctx.beginPath();
    ctx.arc(x, plot.valToPos(at, "y", true), 3 * devicePixelRatio, 0, 2 * Math.PI);
    ctx.stroke();
  }
  ctx.restore();
}

/** Between band and actual, only in anomalous windows, in the colour of their severity; a foot mark keeps the narrow
 *  ones visible, the taller the more severe. */
export function drawDeviations(plot: uPlot, scene: Scene): void {
  const { ctx, bbox } = plot;
  const { points } = scene.data;
  const [first, last] = indicesIn(points, scene.view);
  const x = (time: number): number => plot.valToPos(time, "x", true);
  const y = (value: number): number => plot.valToPos(value, "y", true);
  const foot = bbox.top + bbox.height;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  let leaves = false;
  for (let index = first; index < last; index += 1) {
    const point = points[index] as Point;
    if (!isAnomalous(point)) leaves = false;
    else if (index === first || !isAnomalous(points[index - 1] as Point)) leaves = runLeaves(points, index);
    if (point.value === null) continue;
    const isMinor = !isAnomalous(point) && (point.minor ?? 0) >= MINOR;
    if (!isMinor && !isAnomalous(point)) continue;
    const tone = scene.palette.severity(isMinor ? ANOMALOUS : (point.severity ?? 0));
    const extent = extentOf(scene.data, index);
    const middle = x(point.time + scene.data.windowMillis / 2);
    const left = x(extent.from);
    const right = x(extent.to);
    ctx.fillStyle = tone.fill;
    const edge = edgeOf(point, leaves);
    if (edge !== null && !isMinor) {
      const before = meeting(points[index - 1], point, edge, leaves);
      const after = meeting(points[index + 1], point, edge, leaves);
      ctx.globalAlpha = 0.55;
      ctx.beginPath();
      ctx.moveTo(left, y(before.value));
      ctx.lineTo(middle, y(point.value));
      ctx.lineTo(right, y(after.value));
      ctx.lineTo(right, y(after.edge));
      ctx.lineTo(middle, y(edge));
      ctx.lineTo(left, y(before.edge));
      ctx.fill();
      ctx.globalAlpha = 1;
    }
    const height = tone.height * devicePixelRatio;
    ctx.fillRect(Math.floor(left), foot - height, Math.max(Math.ceil(right) - Math.floor(left), 2 * devicePixelRatio), height);
  }
  ctx.restore();
}

/** Whether any window of the run that begins here left the band. */
function runLeaves(points: readonly Point[], from: number): boolean {
  for (let index = from; index < points.length; index += 1) {
    const point = points[index] as Point;
    if (!isAnomalous(point)) return false;
    if (isOutside(point)) return true;
  }
  return false;
}

/** Where the lines of two neighbours meet at the border between their windows. */
function meeting(neighbour: Point | undefined, point: Point, edge: number, leaves: boolean): { value: number; edge: number } {
  const value = point.value as number;
  if (!neighbour || neighbour.value === null) return { value, edge };
  // The edge goes on along the same side of the band, whether or not the neighbour left it.
  const other = leaves ? (value < edge ? neighbour.lower : value > edge ? neighbour.upper : null) : neighbour.expected;
  const between = (value + neighbour.value) / 2;
  const met = other === null ? between : (edge + other) / 2;
  const crossed = leaves && (value < edge ? between > met : between < met);
  return { value: between, edge: crossed ? between : met };
}

function shade(plot: uPlot, range: Range, style: string | CanvasPattern): boolean {
  const { ctx, bbox } = plot;
  const left = Math.max(plot.valToPos(range.from, "x", true), bbox.left);
  const right = Math.min(plot.valToPos(range.to, "x", true), bbox.left + bbox.width);
  if (right < bbox.left || left > bbox.left + bbox.width) return false;
  ctx.fillStyle = style;
  ctx.fillRect(left, bbox.top, Math.max(right - left, devicePixelRatio), bbox.height);
  return true;
}

/** A word in a span, where it is wide enough for it. */
function word(plot: uPlot, range: Range, text: string, colour: string): void {
  const { ctx, bbox } = plot;
  const left = Math.max(plot.valToPos(range.from, "x", true), bbox.left);
  const right = Math.min(plot.valToPos(range.to, "x", true), bbox.left + bbox.width);
  ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  if (right - left < ctx.measureText(text).width + 8 * devicePixelRatio) return;
  ctx.fillStyle = colour;
  ctx.fillText(text, (left + right) / 2, bbox.top + 6 * devicePixelRatio);
}

function hatch(ctx: CanvasRenderingContext2D, colour: string): string | CanvasPattern {
  const size = 8 * devicePixelRatio;
  const tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const brush = tile.getContext("2d");
  if (!brush) return colour;
  brush.strokeStyle = colour;
  brush.lineWidth = devicePixelRatio;
  brush.beginPath();
  for (const shift of [-size, 0, size]) {
    brush.moveTo(shift, size);
    brush.lineTo(shift + size, 0);
  }
  brush.stroke();
  return ctx.createPattern(tile, "repeat") ?? colour;
}
