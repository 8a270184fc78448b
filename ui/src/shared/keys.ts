// Keys: one listener for the page, a list of bindings per screen, and the help that lists them.

import { useLayoutEffect } from "preact/hooks";

export interface Binding {
  /** As in `KeyboardEvent.key`. */
  key: string;
  /** What it does, for the help. */
  does: string;
  run: () => void;
  /** Left out of the help. */
  hidden?: boolean;
}

const active: Binding[][] = [];

/** Whether keys belong to what has the focus. */
function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName) || isText(target);
}

const isText = (target: HTMLElement) =>
  target instanceof HTMLInputElement && !/^(checkbox|radio|range|button|submit)$/.test(target.type);

function press(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") (event.target as HTMLElement).blur();
    return;
  }
  // Enter and Space belong to the button or link that has the focus.
  if (/^(Enter| )$/.test(event.key) && event.target instanceof HTMLElement && event.target.closest("a,button,summary")) return;
  if (document.querySelector("dialog[open]")) return;
  const binding = active.toReversed().flat().find(({ key }) => key === event.key);
  if (!binding) return;
  event.preventDefault();
  binding.run();
}

addEventListener("keydown", press);

/** Binds keys while a component is shown; later bindings win. */
export function useKeys(bindings: Binding[]): void {
  useLayoutEffect(() => {
    active.push(bindings);
    return () => void active.splice(active.indexOf(bindings), 1);
  });
}

/** What can be pressed now, for the help. */
export const activeKeys = (): Binding[] => active.flat().filter(({ hidden }) => !hidden);
