// Who is looking: a name that goes with what they say, kept in this browser. Tidewatch has no users of its own.

const KEY = "tidewatch-name";

/** The viewer's name; empty when they gave none. */
export const myName = (): string => localStorage.getItem(KEY) ?? "";

/** Remembers it. */
export const rememberName = (name: string): void =>
  name.trim() ? localStorage.setItem(KEY, name.trim()) : localStorage.removeItem(KEY);

/** `by` of a request: the name, or nothing. */
export const by = (): { by?: string } => (myName() ? { by: myName() } : {});
