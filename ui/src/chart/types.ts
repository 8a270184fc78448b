// What the series chart is told. Times are milliseconds since the Unix epoch, always; only words know zones.

/** From a moment up to another, the second not included. */
export interface Range {
  from: number;
  to: number;
}

/** One closed window. */
export interface Point {
  /** Start of the window. */
  time: number;
  /** The value; `null` is a gap. */
  value: number | null;
  /** `null` while the detector learns. */
  expected: number | null;
  lower: number | null;
  upper: number | null;
  /** Page severity, 0 to 100. */
  severity: number | null;
  /** Severity among small and slow deviations, which page nobody. */
  minor?: number | null;
  /** Late records changed the value after it had been judged. */
  revised?: boolean;
  /** The value as it was judged then; `null` was a gap. */
  asClosed?: number | null;
  /** Feedback kept an alarm quiet. */
  silenced?: boolean;
}

/** A holiday, promotion, deploy or outage. */
export interface ChartEvent {
  name: string;
  kind: string;
  from: number;
  to: number;
}

/** One series over a span. */
export interface SeriesData {
  points: readonly Point[];
  events: readonly ChartEvent[];
  /** Width of a window. */
  windowMillis: number;
  /** How many windows each point stands for: the server leaves out all but the lowest, the highest and the most severe
   *  of every few when there are more than can be seen. 1 is every window. */
  windowsPerPoint: number;
  /** The shop"s zone. */
  zone: string;
}

/** A value of the week before, moved to the time it is compared with. */
export interface GhostPoint {
  time: number;
  value: number | null;
}

export interface SeriesChartProps {
  /** `null` while the first answer is awaited; the chart keeps its place. */
  data: SeriesData | null;
  /** What is charted, for people who do not see it: "orders, DE, iOS". */
  label: string;
  /** The measure"s unit, such as `EUR`; `null` where it has none. */
  unit: string | null;
  /** What is shown. */
  view: Range;
  /** How far a pan or zoom may go; free if left out. */
  bounds?: Range;
  /** The same weekdays a week earlier. */
  ghost?: readonly GhostPoint[] | null;
  /** Start of the window that is being explained. */
  picked?: number | null;
  /** The range that is being reported. */
  marked?: Range | null;
  /** Asked for by zoom and pan. Without it the view is fixed. */
  onView?: (view: Range) => void;
  /** A window was clicked, or Enter pressed on it. */
  onPick?: (time: number) => void;
  /** A range was dragged. Without it a drag zooms. */
  onMark?: (range: Range | null) => void;
  /** A chart beside words: lower, without table and buttons. */
  compact?: boolean;
}
