import { BirdboneError } from '../errors.js';
import { type Contingency, contingencyOf, margins } from './contingency.js';

/** What became of the clusters of one clustering in a later one of the same points. */
export type ClusterEvent =
  /** One cluster became one, with some points gained or lost. `jaccard`: |both| / |either|. */
  | { readonly kind: 'continued'; readonly from: number; readonly to: number; readonly jaccard: number }
  /** Several are mostly one each of its parts, and hold much of it. The part with the most of its points is first. */
  | { readonly kind: 'split'; readonly from: number; readonly to: readonly number[] }
  /** Several went on in one, or in one that another split into. The one that gave most points is first. */
  | { readonly kind: 'merged'; readonly from: readonly number[]; readonly to: number }
  /** Its points are scattered, or noise. */
  | { readonly kind: 'died'; readonly from: number }
  /** No cluster went on in it. `of` is the cluster that more than half of its points left to make it, where there is one. */
  | { readonly kind: 'born'; readonly to: number; readonly of: number | null };

export interface TrackOptions {
  /** A cluster goes on in the one that has more than this fraction of its points: 0.5, or more, below 1. */
  readonly overlap?: number;
}

const OVERLAP = 0.5;

/** A part of a split holds at least this fraction of the cluster that split: less is points that moved. */
const PART = 0.2;

/**
 * Returns what became of every cluster, after MONIC (Spiliopoulou, Ntoutsi, Theodoridis & Schult 2006). A cluster split where two or
 * more clusters hold a fifth of its points each and are made of it for more than `overlap`; otherwise it went on in the cluster
 * that has more than `overlap` of its points; otherwise it died. A cluster that several went on in is a merger, and one that
 * none did is born. Every cluster of either clustering is in an event. Noise is no cluster: a neuron that is gone is noise after.
 *
 * First what became of each cluster before, then mergers, then births, each by number. Throws `usage` where the lengths differ.
 */
export function track(before: Int32Array, after: Int32Array, options: TrackOptions = {}): ClusterEvent[] {
  const overlap = options.overlap ?? OVERLAP;
  if (!(overlap >= 0.5 && overlap < 1)) {
    throw new BirdboneError('usage', `overlap is ${overlap}. It must be at least 0.5 and below 1.`);
  }
  const shares = sharesOf(contingencyOf(before, after));
  const fates = shares.before.map((from) => fateOf(shares, from, overlap));
  const events = fates.flatMap((fate) => (fate.heirs.length === 1 ? [] : [endOrSplit(fate)]));
  const mergers: ClusterEvent[] = [];
  const births: ClusterEvent[] = [];
  for (const to of shares.after) {
    const claims = fates.filter(({ heirs }) => heirs.includes(to)).map(({ from }) => from);
    const [only] = claims;
    if (only === undefined) births.push({ kind: 'born', to, of: parentOf(shares, to) });
    else if (claims.length > 1)
      mergers.push({ kind: 'merged', from: byMost(claims, (from) => shares.both(from, to)), to });
    else if (fates.find(({ from }) => from === only)!.heirs.length === 1) events.push(continued(shares, only, to));
  }
  return [...events.sort((a, b) => fromOf(a) - fromOf(b)), ...mergers, ...births];
}

/** The clusters of both sides without noise, and how many points they have in common. */
interface Shares {
  readonly before: readonly number[];
  readonly after: readonly number[];
  sizeBefore(from: number): number;
  sizeAfter(to: number): number;
  both(from: number, to: number): number;
}

function sharesOf(table: Contingency): Shares {
  const sizes = margins(table);
  const rows = new Map([...table.before].map((group, at) => [group, at]));
  const columns = new Map([...table.after].map((group, at) => [group, at]));
  return {
    before: [...table.before].filter((group) => group >= 0),
    after: [...table.after].filter((group) => group >= 0),
    sizeBefore: (from) => sizes.before[rows.get(from)!]!,
    sizeAfter: (to) => sizes.after[columns.get(to)!]!,
    both: (from, to) => table.counts[rows.get(from)! * table.after.length + columns.get(to)!]!,
  };
}

/** What a cluster went on in: nothing, one cluster, or the parts that it split into. */
interface Fate {
  readonly from: number;
  readonly heirs: readonly number[];
}

function fateOf(shares: Shares, from: number, overlap: number): Fate {
  const size = shares.sizeBefore(from);
  const parts = shares.after.filter((to) => {
    const both = shares.both(from, to);
    return both >= PART * size && both > overlap * shares.sizeAfter(to);
  });
  if (parts.length > 1) return { from, heirs: byMost(parts, (to) => shares.both(from, to)) };
  return { from, heirs: shares.after.filter((to) => shares.both(from, to) > overlap * size) };
}

function endOrSplit({ from, heirs }: Fate): ClusterEvent {
  return heirs.length === 0 ? { kind: 'died', from } : { kind: 'split', from, to: heirs };
}

function continued(shares: Shares, from: number, to: number): ClusterEvent {
  const both = shares.both(from, to);
  return { kind: 'continued', from, to, jaccard: both / (shares.sizeBefore(from) + shares.sizeAfter(to) - both) };
}

function parentOf(shares: Shares, to: number): number | null {
  return shares.before.find((from) => shares.both(from, to) > shares.sizeAfter(to) / 2) ?? null;
}

/** The largest first; equal ones by number. */
function byMost(clusters: readonly number[], measure: (cluster: number) => number): number[] {
  return clusters.toSorted((a, b) => measure(b) - measure(a) || a - b);
}

function fromOf(event: ClusterEvent): number {
  return event.kind === 'continued' || event.kind === 'split' || event.kind === 'died' ? event.from : -1;
}
