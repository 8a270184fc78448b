// The tree from everything to the explaining slices, and what each dimension value holds of the deviation.

import { useMemo } from "preact/hooks";

import { change, percent } from "../../shared/numbers.ts";
import { href } from "../../shared/router.ts";
import { Badge } from "../../shared/severity.tsx";
import type { Incident, Monitor } from "../../shared/types.ts";
import { sameSlice, sliceQuery } from "../../shared/words.ts";
import { addsUp, type Gone, useGone } from "./gone.ts";
import { explorerHref } from "./links.ts";
import { type Branch, slicesOf, treeOf } from "./where.ts";

export function Where({ incident, monitor }: { incident: Incident; monitor: Monitor }) {
  const root = useMemo(() => treeOf(incident), [incident.id, incident.until, incident.num_members]);
  const measure = monitor.measures.find(({ name }) => name === incident.measure);
  const gone = useGone(incident, monitor, measure ? slicesOf(root).map((slice) => ({ measure, slice })) : []);
  const whole = gone?.find(({ slice }) => Object.keys(slice).length === 0);
  return (
    <section aria-labelledby="where">
      <h2 id="where">Where</h2>
      <p class="soft">
        {root.explains
          ? "Everywhere alike: no single slice stands out."
          : `${percent(incident.share)} of it is explained by ${incident.slices.length === 1 ? "one slice" : `${incident.slices.length} slices`}.`}
      </p>
      <ul class="tree">
        <Node branch={root} incident={incident} gone={gone} whole={addsUp(measure) ? whole : undefined} />
      </ul>
    </section>
  );
}

interface NodeProps {
  branch: Branch;
  incident: Incident;
  gone: Gone[] | undefined;
  whole: Gone | undefined;
}

function Node({ branch, incident, gone, whole }: NodeProps) {
  const { slice, explains, children, hidden, name } = branch;
  const here = gone?.find((one) => sameSlice(one.slice, slice));
  const deviation = whole ? whole.actual - whole.expected : 0;
  // Where others went the other way, one slice can hold more than the whole; that is still all of it.
  const held = here && here !== whole && deviation ? (here.actual - here.expected) / deviation : null;
  const share = held === null ? null : Math.min(1, Math.max(0, held));
  return (
    <li>
      <div class={explains ? "node explains" : "node"}>
        <a href={explorerHref(incident, slice)} title="Open in the explorer">
          {name}
        </a>
        {here && <span class="figure">{change(here.actual, here.expected)}</span>}
        {share !== null && <span class="soft">{percent(share)} of all</span>}
        {explains && <span class="tag">explains it</span>}
        {here && (here.severity >= 50 || explains) && <Badge severity={here.severity} />}
      </div>
      {(children.length > 0 || hidden > 0) && (
        <ul>
          {children.map((child) => (
            <Node key={JSON.stringify(child.slice)} branch={child} incident={incident} gone={gone} whole={whole} />
          ))}
          {hidden > 0 && <li class="soft">and {hidden} more</li>}
        </ul>
      )}
    </li>
  );
}

/** Per dimension what each value holds, in bars that sum to 100. */
export function Contributions({ incident }: { incident: Incident }) {
  const dimensions = Object.entries(incident.contributions);
  return (
    <section aria-labelledby="dimensions">
      <h2 id="dimensions">By dimension</h2>
      {dimensions.length === 0 && (
        <p class="soft">
          {incident.num_members === 1
            ? "Only one series took part, so there is nothing to share out."
            : "The parts of this measure do not add up to a whole."}
        </p>
      )}
      {dimensions.map(([dimension, values]) => (
        <div class="contribution" key={dimension}>
          <h3>{dimension}</h3>
          <ul>
            {Object.entries(values)
              .sort(([, one], [, other]) => other - one)
              .map(([value, part]) => (
                <li key={value}>
                  <a
                    href={href("/incidents", { ...(value === "(rest)" ? {} : sliceQuery({ [dimension]: value })), severity: 50 })}
                    title="Incidents with this value"
                  >
                    {value}
                  </a>
                  <span class="bar" aria-hidden="true">
                    <span style={{ width: `${Math.max(0, Math.min(100, part))}%` }} />
                  </span>
                  <span class="figure">{part}&nbsp;%</span>
                </li>
              ))}
          </ul>
        </div>
      ))}
    </section>
  );
}
