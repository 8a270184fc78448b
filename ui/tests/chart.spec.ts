// The arithmetic of the chart, without a page.

import { expect, test } from "@playwright/test";

import { columnsOf, edgeOf, extentOf, gapsOf, heightOf, indexAt, learningOf, wholeWindows, within, zoomed } from "../src/chart/model.ts";
import type { Point, SeriesData } from "../src/chart/types.ts";

const MINUTE = 60_000;

function point(minute: number, value: number | null, more: Partial<Point> = {}): Point {
  return { time: minute * MINUTE, value, expected: 50, lower: 40, upper: 60, severity: 0, ...more };
}

function series(points: Point[], windowsPerPoint = 1): SeriesData {
  return { points, events: [], windowMillis: MINUTE, windowsPerPoint, zone: "UTC" };
}

test("a gap is what is stored as none and what is not there at all", () => {
  const data = series([point(0, 50), point(1, null), point(2, null), point(3, 50), point(7, 50)]);
  expect(gapsOf(data)).toEqual([
    { from: MINUTE, to: 3 * MINUTE },
    { from: 4 * MINUTE, to: 7 * MINUTE },
  ]);
});

test("windows that the server left out are no gap", () => {
  const data = series([point(0, 50), point(9, 50), point(15, 50)], 10);
  expect(gapsOf(data)).toEqual([]);
  expect(extentOf(data, 1)).toEqual({ from: 5 * MINUTE, to: 12.5 * MINUTE });
});

test("the fill ends at the band, or at what was expected where no window left the band", () => {
  expect(edgeOf(point(0, 10), true)).toBe(40);
  expect(edgeOf(point(0, 90), true)).toBe(60);
  expect(edgeOf(point(0, 45), true)).toBe(45);
  expect(edgeOf(point(0, 45), false)).toBe(50);
  expect(edgeOf(point(0, null), true)).toBeNull();
});

test("the nearest window is found, also between two that are far apart", () => {
  const data = series([point(0, 1), point(1, 2), point(60, 3)]);
  expect(indexAt(data, 0)).toBe(0);
  expect(indexAt(data, 1.9 * MINUTE)).toBe(1);
  expect(indexAt(data, 40 * MINUTE)).toBe(2);
  expect(indexAt(data, 1e9)).toBe(2);
  expect(indexAt(series([]), 0)).toBe(-1);
});

test("a very wide band does not flatten the line, and small values begin at zero", () => {
  const view = { from: 0, to: 2 * MINUTE };
  const [bottom, top] = heightOf(series([point(0, 50), point(1, 55, { upper: 5_000, lower: 0 })]), view, null);
  expect(bottom).toBe(0);
  expect(top).toBeLessThan(80);
  const far = { expected: 1_000, lower: 990, upper: 1_010 };
  expect(heightOf(series([point(0, 1_001, far), point(1, 999, far)]), view, null)[0]).toBeGreaterThan(900);
});

test("learning ends with the first expectation", () => {
  const none = { expected: null, lower: null, upper: null };
  expect(learningOf(series([point(0, 1, none), point(1, 2, none), point(2, 3)]))).toEqual({ from: 0, to: 2 * MINUTE });
  expect(learningOf(series([point(0, 1)]))).toBeNull();
});

test("the week before is put where it is compared", () => {
  const columns = columnsOf(series([point(0, 1), point(1, 2)]), [{ time: MINUTE, value: 7 }]);
  expect(columns[4]).toEqual([null, 7]);
});

test("views stay within what there is, and marks cover whole windows", () => {
  expect(within({ from: -50, to: 50 }, { from: 0, to: 80 })).toEqual({ from: 0, to: 80 });
  expect(within({ from: 60, to: 100 }, { from: 0, to: 80 })).toEqual({ from: 40, to: 80 });
  expect(zoomed({ from: 0, to: 100 * MINUTE }, 0.5, MINUTE)).toEqual({ from: 25 * MINUTE, to: 75 * MINUTE });
  expect(wholeWindows(series([point(0, 1), point(1, 2), point(2, 3)]), { from: 20_000, to: 90_000 })).toEqual({ from: 0, to: 2 * MINUTE });
});
