import { seededRandom } from '../random.js';
import type { ClusteringMethod } from './clustering.js';
import { assignAll, lloydCentres, rowsOf } from './lloyd.js';

/** k-means++ makes bad starts rare, not impossible. */
const RESTARTS = 5;

/** k-means: k-means++ and Lloyd's iterations by ml-kmeans, the best of several starts. */
const kmeansMethod: ClusteringMethod = {
  takes: ['k', 'restarts'],
  isNumbered: true,
  limit: { points: 32_768, because: 'every iteration looks at all of them; minibatch is for more' },
  prepare(points, { seed, restarts = RESTARTS }) {
    const rows = rowsOf(points);
    return (k) => {
      const random = seededRandom(seed);
      let best = assignAll(points, lloydCentres(points, rows, k, random.bits()));
      for (let run = 1; run < restarts; run += 1) {
        const next = assignAll(points, lloydCentres(points, rows, k, random.bits()));
        if (next.inertia < best.inertia) best = next;
      }
      return { assignments: best.assignments };
    };
  },
};

export default kmeansMethod;
