import { type Random, seededRandom } from '../random.js';
import { nearestCentre } from './centroids.js';
import type { ClusteringMethod } from './clustering.js';
import { type Features, pointsAt } from './features.js';
import { assignAll, fillEmpty, lloydCentres, rowsOf } from './lloyd.js';
import { drawn } from './sample.js';

/** Sculley's experiments have 1000: large enough that a batch holds every cluster. */
const BATCH = 1024;

/** Points that the first centres are found on, by whole k-means. Where there are no more, batches have nothing to add. */
const SAMPLE = 4096;

/** Batches of one run at most, and batches without a better mean after which it ends. */
const MOST_BATCHES = 300;
const PATIENCE = 10;

const RESTARTS = 3;

/**
 * Mini-batch k-means (Sculley, "Web-scale k-means clustering", 2010): centres found on a sample move towards the points of
 * random batches, each by one over the points it has had. Takes time that grows with the points only where the last
 * assignment is made.
 */
const minibatch: ClusteringMethod = {
  takes: ['k', 'restarts'],
  isNumbered: true,
  limit: {
    points: 1_048_576,
    because: 'all their features are in memory, and every one is measured against 256 others',
  },
  prepare(points, { seed, restarts = RESTARTS }) {
    return (k) => {
      const random = seededRandom(seed);
      let best = assignAll(points, oneRun(points, k, random));
      for (let run = 1; run < restarts; run += 1) {
        const next = assignAll(points, oneRun(points, k, random));
        if (next.inertia < best.inertia) best = next;
      }
      return { assignments: best.assignments };
    };
  },
};

export default minibatch;

function oneRun(points: Features, k: number, random: Random): Float64Array {
  const centres = sampleCentres(points, k, random);
  if (points.count <= SAMPLE) return centres;
  const taken = new Float64Array(k);
  let mean = Number.POSITIVE_INFINITY;
  let best = Number.POSITIVE_INFINITY;
  let since = 0;
  for (let batch = 0; batch < MOST_BATCHES && since < PATIENCE; batch += 1) {
    const loss = oneBatch(points, { centres, taken }, random);
    // A running mean over about ten batches: a single batch is better or worse by chance.
    mean = batch === 0 ? loss : mean + (loss - mean) / 10;
    since = mean < best ? 0 : since + 1;
    best = Math.min(best, mean);
  }
  return filled(points, centres);
}

function sampleCentres(points: Features, k: number, random: Random): Float64Array {
  const size = Math.min(points.count, Math.max(SAMPLE, 4 * k));
  const sample = size === points.count ? points : pointsAt(points, drawn(points.count, size, random));
  return lloydCentres(sample, rowsOf(sample), k, random.bits());
}

interface Moving {
  readonly centres: Float64Array;
  /** Points that each centre has had. */
  readonly taken: Float64Array;
}

/** Moves the centres towards one batch, and returns the batch's mean squared distance before. */
function oneBatch(points: Features, { centres, taken }: Moving, random: Random): number {
  const { values, dimensions } = points;
  // All points of a batch are assigned before a centre moves, as in the paper.
  const members = Int32Array.from({ length: BATCH }, () => random.below(points.count));
  const assigned = Array.from(members, (i) => nearestCentre(points, i, centres));
  let sum = 0;
  for (const [at, { nearest, squared }] of assigned.entries()) {
    sum += squared;
    taken[nearest]! += 1;
    const rate = 1 / taken[nearest]!;
    for (let d = 0; d < dimensions; d += 1) {
      const centre = nearest * dimensions + d;
      centres[centre]! += rate * (values[members[at]! * dimensions + d]! - centres[centre]!);
    }
  }
  return sum / BATCH;
}

/** The centres, those that no point is nearest to moved onto the points farthest from theirs. */
function filled(points: Features, centres: Float64Array): Float64Array {
  const { dimensions } = points;
  const rows = Array.from({ length: centres.length / dimensions }, (_, j) => [
    ...centres.subarray(j * dimensions, (j + 1) * dimensions),
  ]);
  return Float64Array.from((fillEmpty(points, rows) ?? rows).flat());
}
