// The tree from everything to the explaining slices, and what each dimension value holds of the deviation.

import { change, percent } from "../../shared/numbers.ts";
import { href } from "../../shared/router.ts";
import { Badge } from "../../shared/severity.tsx";
import type { Incident, Member, Monitor } from "../../shared/types.ts";
import { sliceQuery } from "../../shared/words.ts";
import { explorerHref } from "./links.ts";
import { addsUp, type Branch, treeOf } from "./where.ts";

export function Where({ incident, monitor }: { incident: Incident; monitor: Monitor | undefined }) {
  const additive = addsUp(monitor, incident.measure);
  const root = treeOf(incident, additive);
  const whole = root.explains;
  return (
    <section aria-labelledby="where">
      <h2 id="where">Where</h2>
      <p class="soft">
        {whole
          ? "Everywhere alike: no single slice stands out."
          : `${percent(incident.share)} of it is explained by ${incident.slices.length === 1 ? "one slice" : `${incident.slices.length} slices`}.`}{" "}
        Changes are over the windows that were off.
      </p>
      <ul class="tree">
        <Node branch={root} incident={incident} />
      </ul>
    </section>
  );
}

function Node({ branch, incident }: { branch: Branch; incident: Incident }) {
  const { member, share, explains, children, hidden, name } = branch;
  return (
    <li>
      <div class={explains ? "node explains" : "node"}>
        <a href={explorerHref(incident, branch.slice)} title="Open in the explorer">
          {name}
        </a>
        <span class="figure">{member ? change(member.actual, member.expected) : <span class="soft">not off by itself</span>}</span>
        {share !== null && <span class="soft">{percent(share)} of it</span>}
        {explains && <span class="tag">explains it</span>}
        {member && <Badge severity={severityOf(member)} />}
      </div>
      {(children.length > 0 || hidden > 0) && (
        <ul>
          {children.map((child) => (
            <Node key={JSON.stringify(child.slice)} branch={child} incident={incident} />
          ))}
          {hidden > 0 && <li class="soft">and {hidden} more</li>}
        </ul>
      )}
    </li>
  );
}

const severityOf = (member: Member): number => Math.max(member.severity.peak, member.minor);

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
