// What is looked at, as breadcrumbs: monitor, measure, then one choice per dimension.

import { useMemo } from "preact/hooks";

import { useGet } from "../../shared/load.ts";
import { setQuery } from "../../shared/router.ts";
import type { Monitor, Slice } from "../../shared/types.ts";
import { sameSlice } from "../../shared/words.ts";
import type { Chosen } from "./address.ts";

interface SeriesList {
  series: { measure: string; slice: Slice }[];
  num_series: number;
  next: number | null;
}

/** Values beyond this are typed and not picked. */
const PICKED_MAX = 200;
const LISTED_MAX = 10_000;

export function Slices({ chosen, monitors }: { chosen: Chosen; monitors: Monitor[] }) {
  const { monitor, measure, slice } = chosen;
  const listed = useGet<SeriesList>(`monitors/${encodeURIComponent(monitor.name)}/series`, { limit: LISTED_MAX });
  const slices = useMemo(
    () => (listed.data?.series ?? []).filter((one) => one.measure === measure).map((one) => one.slice),
    [listed.data, measure],
  );
  const forget = { at: undefined, mark_from: undefined, mark_to: undefined };
  const noSlice = Object.fromEntries(monitor.dimensions.map((name) => [`slice.${name}`, undefined]));
  return (
    <form class="slices" aria-label="What is looked at" onSubmit={(event) => event.preventDefault()}>
      {monitors.length > 1 && (
        <Pick label="Monitor" value={monitor.name} values={monitors.map(({ name }) => name)}
          onPick={(name) => setQuery({ ...forget, ...noSlice, monitor: name, measure: undefined })} />
      )}
      <Pick label="Measure" value={measure} values={monitor.measures.map(({ name }) => name)}
        onPick={(name) => setQuery({ ...forget, measure: name })} />
      {monitor.dimensions.map((dimension) => (
        <Pick key={dimension} label={dimension} value={slice[dimension] ?? ""} all values={valuesOf(dimension, slices, slice)}
          onPick={(value) => setQuery({ ...forget, ...narrowed(slices, slice, dimension, value) })} />
      ))}
    </form>
  );
}

interface PickProps {
  label: string;
  value: string;
  values: string[];
  all?: boolean;
  onPick: (value: string) => void;
}

function Pick({ label, value, values, all = false, onPick }: PickProps) {
  const known = value && !values.includes(value) ? [value, ...values] : values;
  const many = known.length > PICKED_MAX;
  const list = `values-${label}`;
  return (
    <label class="pick">
      <span>{label}</span>
      {many ? (
        <>
          <input list={list} value={value} placeholder="All" onChange={(event) => onPick(event.currentTarget.value.trim())} />
          <datalist id={list}>{known.map((one) => <option key={one} value={one} />)}</datalist>
        </>
      ) : (
        <select value={value} onChange={(event) => onPick(event.currentTarget.value)}>
          {all && <option value="">All</option>}
          {known.map((one) => <option key={one} value={one}>{one}</option>)}
        </select>
      )}
    </label>
  );
}

/** Values of a dimension, those that go with the rest of the slice first known. */
function valuesOf(dimension: string, slices: Slice[], chosen: Slice): string[] {
  const values = new Set<string>();
  const others = Object.entries(chosen).filter(([name]) => name !== dimension);
  const fits = (slice: Slice): boolean => others.every(([name, value]) => slice[name] === undefined || slice[name] === value);
  for (const slice of slices) if (slice[dimension] !== undefined && fits(slice)) values.add(slice[dimension]);
  return [...values].sort((one, other) => one.localeCompare(other, undefined, { numeric: true }));
}

/** A change of one dimension; the others are rolled up where the monitor keeps no such combination. */
function narrowed(slices: Slice[], before: Slice, dimension: string, value: string): Record<string, string | undefined> {
  const wanted: Slice = { ...before };
  if (value) wanted[dimension] = value;
  else delete wanted[dimension];
  const kept = slices.length === 0 || slices.some((slice) => sameSlice(slice, wanted));
  const next: Slice = kept ? wanted : value ? { [dimension]: value } : {};
  const names = new Set([...Object.keys(before), ...Object.keys(next)]);
  return Object.fromEntries([...names].map((name) => [`slice.${name}`, next[name]]));
}
