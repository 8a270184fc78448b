// Numbers as people say them: sensible rounding, thousands separators, signs in words.

const rounded = new Map<string, Intl.NumberFormat>();

function format(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = JSON.stringify(options);
  let made = rounded.get(key);
  if (!made) rounded.set(key, (made = new Intl.NumberFormat("en-US", options)));
  return made;
}

/** `1,240`, `80.3`, `0.0123`: at most `digits` significant digits after the first ones; never 1239.87. */
export function number(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 10 ** digits) return format({ maximumFractionDigits: 0 }).format(Number(value.toPrecision(digits)));
  if (Number.isInteger(value)) return format({ maximumFractionDigits: 0 }).format(value);
  return format({ maximumSignificantDigits: digits }).format(value);
}

/** A count to the last one: `12,408`. */
export const exact = (value: number): string => format({ maximumFractionDigits: 0 }).format(value);

/** `1 series`, `3 series`; `1 incident`, `3 incidents`. */
export const count = (amount: number, one: string, many = `${one}s`): string =>
  `${exact(amount)} ${amount === 1 ? one : many}`;

/** `97 %`. */
export const percent = (share: number): string => `${Math.round(share * 100)}\u00a0%`;

/** `38 % below`, `2.1 times`, `as` expected: sign in words. */
export function against(actual: number, expected: number): string {
  if (!(Math.abs(expected) > 0)) return actual > 0 ? "above the expected 0" : "as expected";
  const ratio = actual / expected;
  if (ratio >= 2) return `${number(ratio, 2)} times expected`;
  const change = Math.round(Math.abs(ratio - 1) * 100);
  if (change === 0) return "as expected";
  return `${change}\u00a0% ${ratio < 1 ? "below" : "above"} expected`;
}

/** `−94 %`, `+410 %`, `×12`: short, for rows under a heading that says what is compared. */
export function change(actual: number, expected: number): string {
  if (!(Math.abs(expected) > 0)) return actual > 0 ? "new" : "±0\u00a0%";
  const ratio = actual / expected;
  if (ratio >= 10) return `×${number(ratio, 2)}`;
  const part = Math.round((ratio - 1) * 100);
  return `${part < 0 ? "−" : part > 0 ? "+" : "±"}${Math.abs(part)}\u00a0%`;
}

/** A value with its unit, if it has one. */
export const withUnit = (value: number | null | undefined, unit?: string | null): string =>
  `${number(value)}${unit && value !== null && value !== undefined ? `\u00a0${unit}` : ""}`;
