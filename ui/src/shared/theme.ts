// Light or dark: what the viewer chose, else what the system says. A taste of this browser, so not in the address.

export type Theme = "light" | "dark" | "auto";

const KEY = "tidewatch-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

/** What was chosen. */
export function chosenTheme(): Theme {
  const kept = localStorage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : "auto";
}

/** Chooses, and remembers. */
export function chooseTheme(theme: Theme): void {
  if (theme === "auto") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme);
  apply();
}

/** Sets the colours before the first paint, and follows the system from then on. */
export function startTheme(): void {
  apply();
  dark.addEventListener("change", apply);
}

function apply(): void {
  const chosen = chosenTheme();
  const shown = chosen === "auto" ? (dark.matches ? "dark" : "light") : chosen;
  if (document.documentElement.dataset["theme"] === shown) return;
  document.documentElement.dataset["theme"] = shown;
  // Canvases read colours once and must paint again.
  dispatchEvent(new Event("themechange"));
}
