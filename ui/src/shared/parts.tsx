// Small things that many screens show: times, waiting, errors, emptiness, dialogs.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import type { ApiError } from "./api.ts";
import { clock, dayClock, elsewhere, type Moment, rfc3339 } from "./time.ts";

/** A time of the shop; the tooltip says UTC and the viewer's own. */
export function Time({ at, zone, children }: { at: Moment; zone?: string; children?: ComponentChildren }) {
  return (
    <time datetime={rfc3339(at)} title={elsewhere(at)}>
      {children ?? dayClock(at, zone)}
    </time>
  );
}

/** Waiting: shown only past 300 ms, and as high as what will come, so that nothing jumps. */
export function Waiting({ height = 120, label = "Asking the server" }: { height?: number; label?: string }) {
  return (
    <div class="waiting" role="status" style={{ minHeight: `${height}px` }}>
      <span class="hidden">{label} …</span>
    </div>
  );
}

/** Why nothing can be shown, and what to do. */
export function Failure({ error, retry }: { error: ApiError; retry?: () => void }) {
  return (
    <div class="failure" role="alert">
      <p>{error.message}</p>
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** What is shown is old, and since when. */
export function Stale({ since, error }: { since: number | undefined; error: ApiError | undefined }) {
  if (since === undefined) return null;
  return (
    <p class="stale" role="status">
      Not renewed since {clock(since)} (your time). {error?.message ?? "No answer."} What is shown may be old; it is asked for
      again by itself.
    </p>
  );
}

/** An empty list says why it is empty and what would fill it. */
export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

/** A modal dialog of the browser: focus stays in it, Escape closes it. */
export function Dialog({ title, onClose, children }: { title: string; onClose: () => void; children: ComponentChildren }) {
  const place = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const back = document.activeElement;
    place.current?.showModal();
    return () => (back instanceof HTMLElement ? back.focus() : undefined);
  }, []);
  return (
    <dialog ref={place} onClose={onClose} aria-label={title} onClick={(event) => event.target === place.current && onClose()}>
      <div class="dialog">
        <header>
          <h2>{title}</h2>
          <button type="button" onClick={onClose}>
            Close
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

/** A button that opens a small menu below it; Escape and a click elsewhere close it. */
export function Menu({
  label,
  open: forced,
  onOpen,
  children,
}: {
  label: ComponentChildren;
  open?: boolean;
  onOpen?: (open: boolean) => void;
  children: (close: () => void) => ComponentChildren;
}) {
  const [own, setOwn] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const open = forced ?? own;
  const set = (next: boolean) => (onOpen ? onOpen(next) : setOwn(next));
  useEffect(() => {
    if (!open) return;
    place.current?.querySelector<HTMLElement>(".menu-list :is(button, input, textarea, a)")?.focus();
    const outside = (event: Event) => {
      if (event.target instanceof Node && !place.current?.contains(event.target)) set(false);
    };
    const escape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      set(false);
      button.current?.focus();
    };
    addEventListener("pointerdown", outside);
    addEventListener("keydown", escape);
    return () => {
      removeEventListener("pointerdown", outside);
      removeEventListener("keydown", escape);
    };
  }, [open]);
  return (
    <div class="menu" ref={place}>
      <button type="button" ref={button} aria-expanded={open} onClick={() => set(!open)}>
        {label}
      </button>
      {open && <div class="menu-list">{children(() => set(false))}</div>}
    </div>
  );
}

/** Copies the address of this view, and says so. */
export function CopyLink({ address }: { address?: string }) {
  const [said, setSaid] = useState("");
  const copy = async () => {
    const text = address ? new URL(address, location.href).href : location.href;
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      // Without a secure context there is no clipboard: the address can still be taken from here.
      prompt("Copy this address:", text);
      return;
    }
    setTimeout(() => setSaid(""), 2000);
  };
  return (
    <button type="button" class="copy" onClick={() => void copy()}>
      <span aria-live="polite">{said || "Copy link"}</span>
    </button>
  );
}
