import { seededRandom } from '../random.js';
import { squaredDistance } from './centroids.js';
import type { Features } from './features.js';
import { drawn } from './sample.js';

/** Points whose neighbours are looked at: enough for the shape of a curve. */
const SAMPLE = 2048;

/**
 * Returns the radius at the knee of the sorted distances to the `minPoints`-th point around each point (Ester et al. 1996), the
 * point itself counted: where the curve lies deepest below its chord (Satopää et al. 2011). Points in clusters have that many
 * within it, noise has not.
 */
export function neighbourRadius(points: Features, minPoints: number, seed: number): number {
  const rank = Math.min(minPoints, points.count) - 1;
  const size = Math.min(points.count, SAMPLE);
  const sample = drawn(points.count, size, seededRandom(seed));
  const squared = new Float64Array(points.count);
  const radii = Float64Array.from(sample, (i) => {
    for (let other = 0; other < points.count; other += 1)
      squared[other] = squaredDistance(points, i, points.values, other);
    return Math.sqrt(squared.toSorted()[rank]!);
  }).sort();
  const [first, last] = [radii[0]!, radii[size - 1]!];
  // Points that are all as dense have no knee: every one of them is in a cluster.
  if (last === first) return last;
  let knee = size - 1;
  let deepest = 0;
  for (const [i, radius] of radii.entries()) {
    const depth = i / (size - 1) - (radius - first) / (last - first);
    if (depth > deepest) [deepest, knee] = [depth, i];
  }
  return radii[knee]!;
}
