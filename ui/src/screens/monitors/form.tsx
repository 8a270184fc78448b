// The settings that people change most, as a form. Everything else is in the TOML.

import { parse } from "smol-toml";

import { severityWords, chance } from "../../shared/severity.tsx";
import type { Monitor } from "../../shared/types.ts";
import type { Change } from "./wire.ts";

interface Props {
  monitor: Monitor;
  /** As saved, and as it would be. */
  toml: string;
  text: string;
  change: Change;
  disabled: boolean;
  onChange: (key: string, value: string | number | null, before: string | number | null) => void;
}

type Table = Record<string, unknown>;
const SEVERITY = 70;

export function Form({ monitor, toml, text, change, disabled, onChange }: Props) {
  const tables = tablesOf(text, monitor.name) ?? tablesOf(toml, monitor.name);
  if (!tables) return <p class="note">The text cannot be read as TOML; mend it there first.</p>;
  const read = (key: string): string | number | null => {
    if (key in change) return change[key] ?? null;
    const value = key.split(".").reduce<unknown>((at, step) => (at as Table | undefined)?.[step], tables);
    return typeof value === "number" || typeof value === "string" ? value : null;
  };
  const saved = tablesOf(toml, monitor.name) ?? {};
  const before = (key: string): string | number | null => {
    const value = key.split(".").reduce<unknown>((at, step) => (at as Table | undefined)?.[step], saved);
    return typeof value === "number" || typeof value === "string" ? value : null;
  };
  const set = (key: string, value: string | number | null): void => onChange(key, value, before(key));
  const rules = Array.isArray(tables["alerts"]) ? (tables["alerts"] as Table[]) : [];
  const fields = { read, set, disabled };
  return (
    <form class="settings" onSubmit={(event) => event.preventDefault()}>
      <fieldset disabled={disabled}>
        <legend><h2>What becomes an incident</h2></legend>
        <Threshold {...fields} table="detector" />
      </fieldset>
      {rules.map((rule, index) => (
        <fieldset key={index} disabled={disabled}>
          <legend><h2>Alert rule {String(rule["name"] ?? index + 1)}: to {Array.isArray(rule["to"]) ? rule["to"].join(", ") : "nobody"}</h2></legend>
          <Threshold {...fields} table={`alerts.${index}`} />
          <details>
            <summary>When, how long, how often</summary>
            <div class="fields">
              <Choice {...fields} name={`alerts.${index}.direction`} label="Direction" options={["drop", "rise"]} none="both" />
              <Text {...fields} name={`alerts.${index}.min_duration`} label="Lasting at least" hint="3 of 5" />
              <Text {...fields} name={`alerts.${index}.min_impact`} label="Impact at least" hint="1000" numeric />
              <Text {...fields} name={`alerts.${index}.cool_down`} label="Quiet after an alert" hint="1h" />
              <Text {...fields} name={`alerts.${index}.max_per_hour`} label="Messages an hour at most" hint="20" numeric />
            </div>
          </details>
        </fieldset>
      ))}
      <fieldset disabled={disabled}>
        <legend><h2>Measures: which way is bad</h2></legend>
        <div class="fields">
          {monitor.measures.map(({ name }) => (
            <Choice key={name} {...fields} name={`measures.${name}.direction`} label={name} options={["drop", "rise"]} none="both" />
          ))}
        </div>
      </fieldset>
      <fieldset disabled={disabled}>
        <legend><h2>Windows</h2></legend>
        <div class="fields">
          <Text {...fields} name="allowed_lateness" label="Waits for late records" hint="30s" />
          <Text {...fields} name="no_data_after" label="Says “no data” after" hint="15m" />
          <Text {...fields} name="retention" label="Keeps history for" hint="400d" />
        </div>
      </fieldset>
    </form>
  );
}

interface Fields {
  read: (key: string) => string | number | null;
  set: (key: string, value: string | number | null) => void;
}

/** A severity, or a budget of false alarms: one of the two. */
function Threshold({ read, set, table }: Fields & { table: string }) {
  const budget = read(`${table}.budget`);
  const severity = read(`${table}.severity`);
  const byBudget = budget !== null;
  const value = typeof severity === "number" ? severity : SEVERITY;
  const choose = (toBudget: boolean): void => {
    set(`${table}.severity`, toBudget ? null : SEVERITY);
    set(`${table}.budget`, toBudget ? "1 per week" : null);
  };
  return (
    <div class="threshold">
      <div class="actions">
        <label class="actions"><input type="radio" checked={!byBudget} onChange={() => choose(false)} /> from a severity</label>
        <label class="actions"><input type="radio" checked={byBudget} onChange={() => choose(true)} /> by a budget of false alarms</label>
      </div>
      {byBudget ? (
        <label class="field"><span>False alarms it may cost</span>
          <input value={budget} placeholder="1 per week" onInput={(event) => set(`${table}.budget`, event.currentTarget.value)} />
        </label>
      ) : (
        <label class="field">
          <span>From severity <b>{severityWords(value)}</b>, {chance(value)}</span>
          <span class="actions slide">
            <input type="range" min={50} max={100} value={value} aria-label={`Severity of ${table}`} aria-valuetext={severityWords(value)}
              onInput={(event) => set(`${table}.severity`, Number(event.currentTarget.value))} />
            <input type="number" min={0} max={100} value={value} aria-label={`Severity of ${table} as a number`}
              onInput={(event) => event.currentTarget.value !== "" && set(`${table}.severity`, Number(event.currentTarget.value))} />
          </span>
        </label>
      )}
    </div>
  );
}

function Text({ read, set, name, label, hint, numeric = false }: Fields & { name: string; label: string; hint: string; numeric?: boolean }) {
  return (
    <label class="field">
      <span>{label}</span>
      <input value={read(name) ?? ""} placeholder={`such as ${hint}`} inputMode={numeric ? "decimal" : "text"}
        onInput={(event) => {
          const text = event.currentTarget.value.trim();
          const number = Number(text);
          set(name, text === "" ? null : numeric && !Number.isNaN(number) ? number : text);
        }} />
    </label>
  );
}

function Choice({ read, set, name, label, options, none }: Fields & { name: string; label: string; options: string[]; none: string }) {
  return (
    <label class="field">
      <span>{label}</span>
      <select value={read(name) ?? ""} onChange={(event) => set(name, event.currentTarget.value || null)}>
        <option value="">{none}</option>
        {options.map((option) => <option key={option} value={option}>{option}</option>)}
      </select>
    </label>
  );
}

/** The monitor's tables, whether the text names them `monitors.NAME` or leaves that out; `null` when it is no TOML. */
function tablesOf(text: string, name: string): Table | null {
  try {
    const found = parse(text) as Table;
    const monitors = found["monitors"] as Record<string, Table> | undefined;
    return monitors?.[name] ?? found;
  } catch {
    return null;
  }
}
