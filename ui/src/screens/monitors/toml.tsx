// The settings as text, with line numbers; lines with a problem are marked.

import "./toml.css";

import { useRef } from "preact/hooks";

import type { Problem } from "./wire.ts";

interface Props {
  text: string;
  problems: Problem[];
  readOnly?: boolean;
  onChange: (text: string) => void;
}

export function Toml({ text, problems, readOnly = false, onChange }: Props) {
  const gutter = useRef<HTMLDivElement>(null);
  const bad = new Map(problems.filter(({ line }) => line !== null).map(({ line, message }) => [line, message]));
  const lines = text.split("\n").length;
  return (
    <div class="toml code">
      <div class="gutter" ref={gutter} aria-hidden="true">
        {Array.from({ length: lines }, (_, index) => (
          <div key={index} class={bad.has(index + 1) ? "bad" : undefined} title={bad.get(index + 1)}>{index + 1}</div>
        ))}
      </div>
      <textarea
        aria-label="Settings as TOML"
        aria-invalid={bad.size > 0}
        spellcheck={false}
        autocapitalize="off"
        wrap="off"
        rows={Math.min(36, Math.max(12, lines + 1))}
        readOnly={readOnly}
        value={text}
        onInput={(event) => onChange(event.currentTarget.value)}
        onScroll={(event) => { if (gutter.current) gutter.current.scrollTop = event.currentTarget.scrollTop; }}
      />
    </div>
  );
}
