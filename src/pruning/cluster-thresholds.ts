import { byError, byOutliers, type Counts } from '../allocation/index.js';
import { removedCount } from '../sparsity/index.js';
import {
  type Budgets,
  bounded,
  clusterName,
  figureStart,
  fitted,
  type NamedStart,
  optimiseThresholds,
  rowCounts,
  type ThresholdCluster,
  type ThresholdResult,
} from '../thresholds/index.js';
import { type AllocationRules, allocationRequest } from './allocate.js';
import type { EditContext, ProposalDetails } from './edit.js';
import { type ClusteredMatrix, clusteredMatrices, ErrorSums, thresholdClusters } from './threshold-clusters.js';
import { expectation, thresholdDetails } from './threshold-details.js';
import { earlierStart } from './threshold-history.js';
import { clusterSettings, searchSettings, type ThresholdSettings } from './threshold-settings.js';
import { openTrial } from './threshold-trial.js';
import { WeightRanks } from './weight-ranks.js';

/** What a wave removes by clusters, and what its record has to say of that. */
export interface ClusterThresholds {
  /** Of each matrix, by name. */
  readonly removals: ReadonlyMap<string, ClusteredRemoval>;
  readonly details: ProposalDetails;
}

/** How much of a matrix goes, by its clusters and by its rows. */
export interface ClusteredRemoval {
  /** The rows of each cluster, ascending, and how many weights they lose together. */
  readonly clusters: readonly { readonly rows: Int32Array; readonly removed: number }[];
  /** [rows]: the same row by row. */
  readonly rowCounts: Int32Array;
}

/**
 * Thresholds for clusters of output rows that change the model's predictions least, on budget exactly: the weights to be gone of all
 * clusters add up to ⌊weights · target⌋. Says what is expected of them before anything is removed.
 */
export async function clusterThresholds(
  settings: ThresholdSettings,
  rules: AllocationRules,
  context: EditContext,
): Promise<ClusterThresholds> {
  const { seed = 0, target, report } = context;
  const matrices = await clusteredMatrices(clusterSettings(settings, seed), context);
  const sums = new ErrorSums(matrices);
  const ranks = await WeightRanks.of('row', context, sums.observe);
  try {
    const all = await thresholdClusters(matrices, sums, context);
    const elements = all.reduce((total, cluster) => total + cluster.elements, 0);
    const budgets = [removedCount(elements, target)];
    const clusters = bounded(all, settings, budgets);
    const starts = await startsOf(clusters, { matrices, rules, budgets }, context);
    const trial = await openTrial(matrices, ranks, context);
    try {
      const search = searchSettings(settings);
      const onStep = (done: number, total: number) =>
        report({ type: 'progress', stage: 'thresholds', done, total, unit: 'generations' });
      const result = await optimiseThresholds({ clusters, target, budgets, starts, trial, search, seed, onStep });
      report({ type: 'notice', message: expectation(result, { target, clusters }) });
      return { removals: removalsOf(matrices, result), details: thresholdDetails(result, clusters, target) };
    } finally {
      await trial.close();
    }
  } finally {
    await ranks.close();
  }
}

/** The same everywhere, OWL's and by measured errors, each matrix as a whole; and the best known of them bent by the figures. */
async function startsOf(
  clusters: readonly ThresholdCluster[],
  {
    matrices,
    rules,
    budgets,
  }: {
    readonly matrices: readonly ClusteredMatrix[];
    readonly rules: AllocationRules;
    readonly budgets: Budgets;
  },
  context: EditContext,
): Promise<NamedStart[]> {
  const whole = matrices.map(({ spec, block, gone }) => ({
    name: spec.weight,
    block,
    elements: spec.rows * spec.columns,
    gone: gone.reduce((sum, zeros) => sum + zeros, 0),
  }));
  const elements = new Map(whole.map((matrix) => [matrix.name, matrix.elements]));
  const ofClusters = (counts: Counts) =>
    fitted(clusters, ({ matrix }) => counts.get(matrix)! / elements.get(matrix)!, budgets);
  const request = allocationRequest(whole, rules, context);
  const error = ofClusters(await byError(request));
  return [
    { name: 'uniform', counts: fitted(clusters, () => context.target, budgets) },
    { name: 'owl', counts: ofClusters(await byOutliers(request)) },
    { name: 'error', counts: error },
    { name: 'figures', counts: figureStart(error, clusters, budgets) },
    ...earlierStart(context, clusters, budgets),
  ];
}

function removalsOf(
  matrices: readonly ClusteredMatrix[],
  { counts }: ThresholdResult,
): ReadonlyMap<string, ClusteredRemoval> {
  return new Map(
    matrices.map(({ spec, gone, members }) => {
      const byRow = new Int32Array(spec.rows);
      const clusters = members.map((rows, cluster) => {
        const removed = counts.get(clusterName(spec.weight, cluster))!;
        const own = rowCounts(
          removed,
          rows.map((row) => gone[row]!),
          spec.columns,
        );
        rows.forEach((row, i) => {
          byRow[row] = own[i]!;
        });
        return { rows, removed };
      });
      return [spec.weight, { clusters, rowCounts: byRow }];
    }),
  );
}
