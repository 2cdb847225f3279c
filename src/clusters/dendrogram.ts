import type { Linkage } from './clustering.js';
import type { Features } from './features.js';

/**
 * A hierarchy of `leaves` points, as scipy has it: merge m joins the nodes merges[2m] and merges[2m + 1] into node leaves + m, at heights[m].
 * Nodes below `leaves` are points; merges are in the order of their heights.
 */
export interface Dendrogram {
  readonly leaves: number;
  readonly merges: Int32Array;
  /** Distances at which nodes are joined; ward: √(2 |A||B| / (|A| + |B|)) ‖c_A − c_B‖. */
  readonly heights: Float64Array;
}

/** The distance of a node K from the union of I and J, from theirs and their sizes (Lance & Williams 1967). */
type Update = (toI: number, toJ: number, between: number, sizes: { i: number; j: number; k: number }) => number;

/** Linkages for which a chain of nearest neighbours finds the same tree as taking the smallest distance every time. Ward's are squared. */
const UPDATES: Record<Linkage, Update> = {
  single: (toI, toJ) => Math.min(toI, toJ),
  complete: (toI, toJ) => Math.max(toI, toJ),
  average: (toI, toJ, _, { i, j }) => (i * toI + j * toJ) / (i + j),
  ward: (toI, toJ, between, { i, j, k }) => ((i + k) * toI + (j + k) * toJ - k * between) / (i + j + k),
};

/**
 * Returns the hierarchy by the nearest-neighbour chain (Murtagh 1983; Müllner 2011): time and memory grow with the square of the
 * points. ml-hclust copies the distances at every merge: 1.1 s for 800 points, eight times that for twice as many.
 */
export function dendrogramOf(points: Features, linkage: Linkage): Dendrogram {
  const n = points.count;
  const distances = condensed(points, linkage === 'ward');
  const sizes = new Int32Array(n).fill(1);
  const update = UPDATES[linkage];
  const found: Merge[] = [];
  const chain: number[] = [];
  // Nodes below `first` are merged into others.
  let first = 0;
  while (found.length < n - 1) {
    if (chain.length === 0) {
      while (sizes[first] === 0) first += 1;
      chain.push(first);
    }
    const top = chain.at(-1)!;
    const { nearest, distance } = nearestNode(distances, sizes, top, chain.at(-2));
    // Two that are nearest to each other are merged. Rounding can make equal distances differ and so close a longer loop,
    // whose nodes are all as near.
    const at = chain.indexOf(nearest);
    if (at < 0) {
      chain.push(nearest);
      continue;
    }
    chain.length = at;
    found.push({ a: top, b: nearest, height: linkage === 'ward' ? Math.sqrt(Math.max(0, distance)) : distance });
    join({ distances, sizes, update }, top, nearest);
  }
  return inOrder(found, n);
}

/** Two nodes by one point each, and how far apart they were. */
interface Merge {
  readonly a: number;
  readonly b: number;
  readonly height: number;
}

/** Distances of i > j at i (i − 1) / 2 + j. */
function condensed({ values, count, dimensions }: Features, isSquared: boolean): Float64Array {
  const distances = new Float64Array((count * (count - 1)) / 2);
  for (let i = 1, at = 0; i < count; i += 1) {
    for (let j = 0; j < i; j += 1, at += 1) {
      let sum = 0;
      for (let d = 0, a = i * dimensions, b = j * dimensions; d < dimensions; d += 1, a += 1, b += 1) {
        const difference = values[a]! - values[b]!;
        sum += difference * difference;
      }
      distances[at] = isSquared ? sum : Math.sqrt(sum);
    }
  }
  return distances;
}

function pair(i: number, j: number): number {
  return i > j ? (i * (i - 1)) / 2 + j : (j * (j - 1)) / 2 + i;
}

/** The node nearest to `top`: the one before it in the chain where none is nearer, else the first of the nearest. */
function nearestNode(distances: Float64Array, sizes: Int32Array, top: number, before: number | undefined) {
  let nearest = before ?? -1;
  let distance = before === undefined ? Number.POSITIVE_INFINITY : distances[pair(top, before)]!;
  for (let node = 0; node < sizes.length; node += 1) {
    if (sizes[node] === 0 || node === top) continue;
    const other = distances[pair(top, node)]!;
    if (other < distance) {
      distance = other;
      nearest = node;
    }
  }
  return { nearest, distance };
}

interface Nodes {
  readonly distances: Float64Array;
  /** 0: merged into another. */
  readonly sizes: Int32Array;
  readonly update: Update;
}

/** Node j becomes the union of both, and i is no more. */
function join({ distances, sizes, update }: Nodes, i: number, j: number): void {
  const between = distances[pair(i, j)]!;
  for (let k = 0; k < sizes.length; k += 1) {
    if (sizes[k] === 0 || k === i || k === j) continue;
    const [toI, toJ] = [distances[pair(i, k)]!, distances[pair(j, k)]!];
    distances[pair(j, k)] = update(toI, toJ, between, { i: sizes[i]!, j: sizes[j]!, k: sizes[k]! });
  }
  sizes[j]! += sizes[i]!;
  sizes[i] = 0;
}

/** A chain finds merges out of order: by height, and as found where heights are equal. */
function inOrder(found: readonly Merge[], leaves: number): Dendrogram {
  const sorted = found.toSorted((a, b) => a.height - b.height);
  const merges = new Int32Array(2 * sorted.length);
  const roots = new Roots(leaves);
  const nodes = Int32Array.from({ length: leaves }, (_, i) => i);
  for (const [m, { a, b }] of sorted.entries()) {
    const [left, right] = [roots.of(a), roots.of(b)];
    merges[2 * m] = Math.min(nodes[left]!, nodes[right]!);
    merges[2 * m + 1] = Math.max(nodes[left]!, nodes[right]!);
    nodes[roots.join(left, right)] = leaves + m;
  }
  return { leaves, merges, heights: Float64Array.from(sorted, ({ height }) => height) };
}

/** Disjoint sets of numbers, each known by one of them. */
class Roots {
  private readonly parents: Int32Array;

  constructor(count: number) {
    this.parents = Int32Array.from({ length: count }, (_, i) => i);
  }

  of(node: number): number {
    let root = node;
    while (this.parents[root] !== root) {
      // Halving the path keeps later walks short.
      this.parents[root] = this.parents[this.parents[root]!]!;
      root = this.parents[root]!;
    }
    return root;
  }

  /** Makes one set of two roots' sets, and returns its root. */
  join(a: number, b: number): number {
    this.parents[a] = b;
    return b;
  }
}
