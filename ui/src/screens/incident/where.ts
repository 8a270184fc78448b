// Where an incident is, as a tree from everything down to the slices that explain it and what is within them.

import type { Incident, Member, Slice } from "../../shared/types.ts";
import { sameSlice } from "../../shared/words.ts";

/** Children of one slice that are shown; the rest is counted. */
const CHILDREN_MAX = 6;

export interface Branch {
  slice: Slice;
  /** What this level adds: `country DE`; `All` for the root. */
  name: string;
  /** One of the slices that explain the incident. */
  explains: boolean;
  children: Branch[];
  /** Children that are left out. */
  hidden: number;
}

export function treeOf(incident: Incident): Branch {
  const members = incident.members.filter(({ measure }) => measure === incident.measure);
  const branch = (slice: Slice, name: string): Branch => {
    const explains = incident.slices.some((one) => sameSlice(one, slice));
    return { slice, name, explains, children: [], hidden: 0 };
  };
  const root = branch({}, "All");
  const order = dimensionOrder(incident);

  for (const slice of incident.slices) {
    let node = root;
    const path = Object.keys(slice).sort((one, other) => order.indexOf(one) - order.indexOf(other));
    for (const [index, dimension] of path.entries()) {
      const part = Object.fromEntries(path.slice(0, index + 1).map((name) => [name, slice[name] ?? ""]));
      const known = node.children.find((child) => sameSlice(child.slice, part));
      if (!known) node.children.push(branch(part, `${dimension} ${slice[dimension]}`));
      node = known ?? (node.children.at(-1) as Branch);
    }
    grow(node, members, order, branch);
  }
  return root;
}

/** Adds what is within a slice, along one dimension: the one whose values differ most. */
function grow(node: Branch, members: Member[], order: string[], branch: (slice: Slice, name: string) => Branch): void {
  const within = members.filter(
    ({ slice }) =>
      Object.keys(slice).length === Object.keys(node.slice).length + 1 &&
      Object.entries(node.slice).every(([name, value]) => slice[name] === value),
  );
  const added = (slice: Slice) => Object.keys(slice).find((name) => !(name in node.slice)) ?? "";
  const dimension = order.find((name) => within.some(({ slice }) => added(slice) === name));
  if (dimension === undefined) return;
  const children = within
    .filter(({ slice }) => added(slice) === dimension)
    .sort((one, other) => Math.abs(other.actual - other.expected) - Math.abs(one.actual - one.expected));
  for (const { slice } of children.slice(0, CHILDREN_MAX)) node.children.push(branch(slice, `${dimension} ${slice[dimension]}`));
  node.hidden = Math.max(0, children.length - CHILDREN_MAX);
}

/** Dimensions, those that tell most first: where one value holds most of it. */
function dimensionOrder({ contributions, slices, members }: Incident): string[] {
  const known = Object.entries(contributions).map(([name, values]): [string, number] => [name, Math.max(0, ...Object.values(values))]);
  const ordered = known.sort((one, other) => other[1] - one[1]).map(([name]) => name);
  const all = [...slices, ...members.map(({ slice }) => slice)].flatMap((slice) => Object.keys(slice));
  return [...new Set([...ordered, ...all])];
}

/** Every slice of the tree. */
export const slicesOf = (branch: Branch): Slice[] => [branch.slice, ...branch.children.flatMap(slicesOf)];
