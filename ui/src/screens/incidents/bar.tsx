// The filters of the list. Everything chosen goes into the address.

import type { RefObject } from "preact";
import { useRef } from "preact/hooks";

import { setQuery, type Query } from "../../shared/router.ts";
import type { Histogram, Monitor } from "../../shared/types.ts";
import { chosenOf, type Filters, SEVERITY_FROM, SPANS } from "./filters.ts";
import { Slider } from "./slider.tsx";

interface BarProps {
  filters: Filters;
  monitors: Monitor[];
  histogram: Histogram | undefined;
  /** Values of dimensions that the listed incidents name. */
  values: Record<string, string[]>;
  search: RefObject<HTMLInputElement | null>;
}

const STATES: [string, string][] = [
  ["", "any state"],
  ["open", "open"],
  ["closed", "closed"],
  ["retracted", "taken back"],
];
const KINDS: [string, string][] = [
  ["", "every kind"],
  ["deviation", "deviations"],
  ["minor", "small or slow"],
  ["no_data", "no data"],
  ["engine_trouble", "engine trouble"],
];
const CARES: [string, string][] = [
  ["", "any care"],
  ["unanswered", "unanswered"],
  ["acknowledged", "acknowledged"],
  ["confirmed", "real problem"],
  ["expected", "expected"],
  ["false_alarm", "false alarm"],
  ["new_normal", "new normal"],
];

export function Bar({ filters, monitors, histogram, values, search }: BarProps) {
  const measures = [...new Set(monitors.flatMap(({ measures }) => measures.map(({ name }) => name)))].sort();
  const dimensions = [...new Set(monitors.flatMap(({ dimensions }) => dimensions))];
  // On a phone the incidents come first and the filters are folded away.
  const wide = useRef(matchMedia("(min-width: 600px)").matches).current;
  const chosen = chosenOf(filters);
  return (
    <form class="filters" role="search" aria-label="Filter the incidents" onSubmit={(event) => event.preventDefault()}>
      <Slider
        value={filters.severity}
        histogram={histogram}
        onChange={(severity, dragging) =>
          setQuery({ severity: severity === SEVERITY_FROM ? undefined : severity }, { replace: dragging })
        }
      />
      <label class="find">
        <span class="hidden">Find in the sentences</span>
        <input
          ref={search}
          type="search"
          placeholder="Find in the sentences"
          value={filters.find}
          onInput={(event) => setQuery({ find: event.currentTarget.value }, { replace: true })}
        />
      </label>
      {(chosen > 0 || filters.find) && (
        <a class="clear" href={filters.severity === SEVERITY_FROM ? "/incidents" : `/incidents?severity=${filters.severity}`}>
          Clear filters
        </a>
      )}
      <details class="choices" open={wide}>
        <summary>Filters{chosen > 0 && ` (${chosen})`}</summary>
        <div>
          <Choice label="State" name="state" value={filters.state} options={STATES} />
          <Choice
            label="Time"
            name="last"
            value={filters.last}
            options={[["", filters.from || filters.to ? "chosen times" : "all time"], ...Object.entries(SPANS).map(([word, { title }]): [string, string] => [word, title])]}
            also={{ from: undefined, to: undefined }}
          />
          {monitors.length > 1 && (
            <Choice label="Monitor" name="monitor" value={filters.monitor} options={[["", "every monitor"], ...monitors.map(({ name }): [string, string] => [name, name])]} />
          )}
          <Choice label="Measure" name="measure" value={filters.measure} options={[["", "every measure"], ...measures.map((name): [string, string] => [name, name])]} />
          {dimensions.map((dimension) => (
            <Choice
              key={dimension}
              label={dimension}
              name={`slice.${dimension}`}
              value={filters.slice[dimension] ?? ""}
              options={[["", `every ${dimension}`], ...optionsOf(values[dimension], filters.slice[dimension])]}
            />
          ))}
          <Choice label="Kind" name="kind" value={filters.kind} options={KINDS} />
          <Choice label="Care" name="care" value={filters.care} options={CARES} />
        </div>
      </details>
    </form>
  );
}

function optionsOf(values: string[] = [], chosen: string | undefined): [string, string][] {
  return [...new Set([...values, ...(chosen ? [chosen] : [])])].sort().map((value) => [value, value]);
}

interface ChoiceProps {
  label: string;
  name: string;
  value: string;
  options: [string, string][];
  also?: Query;
}

function Choice({ label, name, value, options, also = {} }: ChoiceProps) {
  return (
    <label class={value ? "choice chosen" : "choice"}>
      <span class="hidden">{label}</span>
      <select name={name} value={value} onChange={(event) => setQuery({ ...also, [name]: event.currentTarget.value })}>
        {options.map(([word, title]) => (
          <option value={word}>{title}</option>
        ))}
      </select>
    </label>
  );
}
