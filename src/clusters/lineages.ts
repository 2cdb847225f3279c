import { type ClusterEvent, type TrackOptions, track } from './track.js';

/** Clusters followed through several clusterings of the same points, such as those after each wave. */
export interface Lineages {
  /** Of each clustering, the lineage of each of its clusters: the same number where a cluster went on. */
  readonly identities: readonly Int32Array[];
  /** What happened between each clustering and the next. */
  readonly events: readonly (readonly ClusterEvent[])[];
  /** Lineages that there are. */
  readonly count: number;
}

/**
 * Returns the lineages of clusters numbered 0 … k − 1 without gaps. The larger part of a split and the cluster that gives a merger most of its points
 * pass on their lineage; other parts and clusters that are born begin one. Throws `usage` where the numbers of points differ.
 */
export function lineagesOf(assignments: readonly Int32Array[], options: TrackOptions = {}): Lineages {
  const identities: Int32Array[] = [];
  const events: ClusterEvent[][] = [];
  let count = 0;
  for (const [step, current] of assignments.entries()) {
    const next = new Int32Array(current.reduce((most, cluster) => Math.max(most, cluster + 1), 0)).fill(-1);
    const previous = identities.at(-1);
    if (previous !== undefined) {
      const happened = track(assignments[step - 1]!, current, options);
      for (const { from, to } of successions(happened)) next[to] = previous[from]!;
      events.push(happened);
    }
    for (const [cluster, identity] of next.entries()) if (identity < 0) next[cluster] = count++;
    identities.push(next);
  }
  return { identities, events, count };
}

/** Which cluster passes its lineage on to which: at most one for each on either side. */
function successions(events: readonly ClusterEvent[]): { from: number; to: number }[] {
  const wanted = events.flatMap((event) => {
    if (event.kind === 'continued') return [{ from: event.from, to: event.to }];
    if (event.kind === 'split') return [{ from: event.from, to: event.to[0]! }];
    return event.kind === 'merged' ? [{ from: event.from[0]!, to: event.to }] : [];
  });
  // A part of a split that others joined is in a merger too: who gave it most is its forebear, and the split's word comes second.
  const mergers = new Map(
    events.flatMap((event) => (event.kind === 'merged' ? [[event.to, event.from[0]!] as const] : [])),
  );
  const heirs = new Set<number>();
  return wanted.filter(({ from, to }) => {
    const giver = mergers.get(to);
    if ((giver !== undefined && giver !== from) || heirs.has(from)) return false;
    heirs.add(from);
    return true;
  });
}
