import { type ClusterSettings, clusterRows, type MatrixRowClusters } from '../clustering/index.js';
import type { LinearSpec } from '../model/index.js';
import type { MatrixScores } from '../sparsity/index.js';
import { clusterName, ERROR_LEVELS, type ThresholdCluster } from '../thresholds/index.js';
import { zerosByRow } from './allocate.js';
import { clusterHealth } from './cluster-health.js';
import type { EditContext } from './edit.js';
import { prunableLinears } from './plan-masks.js';

/** One matrix, its clusters, and what is gone of its rows. */
export interface ClusteredMatrix {
  readonly spec: LinearSpec;
  readonly block: number;
  readonly found: MatrixRowClusters;
  /** Weights of each row that are 0 already. */
  readonly gone: Int32Array;
  /** The rows of each cluster, ascending. */
  readonly members: readonly Int32Array[];
}

/**
 * The clusters of every matrix that pruning may change, as the dense model's rows behave: they are the same in every wave of a run,
 * whatever has gone in the meantime.
 */
export async function clusteredMatrices(settings: ClusterSettings, context: EditContext): Promise<ClusteredMatrix[]> {
  const { model, dense = model } = context;
  const clusters = await clusterRows(dense, settings, context);
  const matrices: ClusteredMatrix[] = [];
  for (const { index: block } of model.decoder.blocks) {
    for (const spec of prunableLinears(model, block)) {
      const found = clusters.get(spec.weight)!;
      const members = found.clusters.map(({ cluster }) => membersOf(found, cluster));
      matrices.push({ spec, block, found, gone: await zerosByRow(model, spec), members });
    }
  }
  return matrices;
}

function membersOf({ assignments }: MatrixRowClusters, cluster: number): Int32Array {
  return Int32Array.from(assignments.keys()).filter((row) => assignments[row] === cluster);
}

/** Error sums by cluster, gathered from scores as they pass by. */
export class ErrorSums {
  readonly #matrices: ReadonlyMap<string, ClusteredMatrix>;
  readonly #sums = new Map<string, Float64Array>();

  constructor(matrices: readonly ClusteredMatrix[]) {
    this.#matrices = new Map(matrices.map((matrix) => [matrix.spec.weight, matrix]));
  }

  /** Adds up the squares of a matrix's scores, row by row from the smallest on. */
  readonly observe = ({ name, values, columns }: MatrixScores): void => {
    const { found } = this.#matrices.get(name)!;
    for (const [row, cluster] of found.assignments.entries()) {
      const sorted = values.slice(row * columns, (row + 1) * columns).sort();
      addRow(this.#of(clusterName(name, cluster)), sorted);
    }
  };

  #of(name: string): Float64Array {
    const sums = this.#sums.get(name) ?? new Float64Array(ERROR_LEVELS + 1);
    this.#sums.set(name, sums);
    return sums;
  }

  of(name: string): Float64Array {
    const sums = this.#sums.get(name);
    if (sums === undefined) throw new RangeError(`no scores of ${name} have passed by`);
    return sums;
  }
}

function addRow(sums: Float64Array, sorted: Float32Array): void {
  let sum = 0;
  let next = 0;
  for (let level = 1; level <= ERROR_LEVELS; level += 1) {
    const upTo = Math.floor((level * sorted.length) / ERROR_LEVELS);
    for (; next < upTo; next += 1) sum += sorted[next]! ** 2;
    sums[level]! += sum;
  }
}

/** What the clusters are to the search: sizes, errors, and figures. */
export async function thresholdClusters(
  matrices: readonly ClusteredMatrix[],
  errors: ErrorSums,
  context: EditContext,
): Promise<ThresholdCluster[]> {
  const health = await clusterHealth(
    new Map(matrices.map(({ spec, found }) => [spec.weight, found.assignments])),
    context,
  );
  return matrices.flatMap(({ spec, block, found, gone, members }) =>
    found.clusters.map(({ cluster, importance, variance = 0 }): ThresholdCluster => {
      const rows = members[cluster]!;
      const name = clusterName(spec.weight, cluster);
      const elements = rows.length * spec.columns;
      const lost = rows.reduce((sum, row) => sum + gone[row]!, 0);
      const figures = { importance, variance, density: 1 - lost / elements, health: health.get(name) ?? 1 };
      return {
        name,
        matrix: spec.weight,
        block,
        cluster,
        rows: rows.length,
        pool: 0,
        elements,
        gone: lost,
        figures,
        errors: errors.of(name),
      };
    }),
  );
}
