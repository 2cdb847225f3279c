import { neuronsOf } from '../clustering/index.js';
import { assessDamage } from '../damage/index.js';
import { clusterName } from '../thresholds/index.js';
import type { EditContext } from './edit.js';
import type { NetworkChannels } from './network-channels.js';

/** Text that health is measured on: as much as candidates are tuned on. */
const HEALTH_TOKENS = 2048;

/**
 * How far the outputs of clusters are still the dense model's on the calibration text: 1 − ‖Y' − Y‖² / ‖Y‖² over their rows, each model
 * fed by its own blocks before (an expert's rows: both fed what the dense one gives them); 1 is as ever, 0 at least. `clusters`: by
 * the stored name of a matrix the cluster of each of its rows, −1 for none. Healthy clusters of a model that is the dense one are left
 * out. By the cluster's name.
 */
export async function clusterHealth(
  clusters: ReadonlyMap<string, Int32Array>,
  context: EditContext,
): Promise<ReadonlyMap<string, number>> {
  const { model, dense = model, calibration, device, memoryBytes, spillFolder, signal, report } = context;
  if (dense === model) return new Map();
  const room = { memoryBytes, spillFolder, signal, report };
  const damage = await assessDamage(dense, model, spread(calibration), { device, clusters, ...room });
  return new Map(
    (damage.clusters ?? []).map(({ weight, cluster, own, total }) => {
      const { relativeError } = total ?? own;
      return [clusterName(weight, cluster), Math.max(0, 1 - relativeError ** 2)];
    }),
  );
}

/**
 * The same of clusters of channels, by the rows that each channel has in gate and up: the mean of both, and in
 * one fused weight both rows together. By the cluster's name, which is that
 * of the network's output linear and its number.
 */
export async function channelHealth(
  networks: readonly NetworkChannels[],
  context: EditContext,
): Promise<ReadonlyMap<string, number>> {
  const rows = new Map<string, Int32Array>();
  const weights = networks.map((network) => readingRows(network, context, rows));
  const byRows = await clusterHealth(rows, context);
  const health = new Map<string, number>();
  for (const [place, { consumer, assignments }] of networks.entries()) {
    for (const cluster of new Set(assignments)) {
      const found = weights[place]!.flatMap((weight) => byRows.get(clusterName(weight, cluster)) ?? []);
      if (found.length === 0) continue;
      const mean = found.reduce((sum, each) => sum + each, 0) / found.length;
      health.set(clusterName(consumer.spec.weight, cluster), mean);
    }
  }
  return health;
}

/** Puts into `rows` the cluster of every row that reads for one of the network's channels, and returns the weights that have them. */
function readingRows(
  { block, network, assignments }: NetworkChannels,
  { model }: EditContext,
  rows: Map<string, Int32Array>,
): string[] {
  const spec = model.decoder.blocks[block]!;
  const reading = neuronsOf(spec, 'ffn')[network]!.legs.filter(({ way }) => way === 'reads');
  for (const { weight, of } of reading) {
    const matrix = spec.linears.find((linear) => linear.weight === weight)!;
    const clusters = rows.get(weight) ?? new Int32Array(matrix.rows).fill(-1);
    for (const [channel, cluster] of assignments.entries()) for (const row of of(channel)) clusters[row] = cluster;
    rows.set(weight, clusters);
  }
  return [...new Set(reading.map(({ weight }) => weight))];
}

/** Windows of as many tokens as are looked at, evenly over all of them. */
function spread(windows: EditContext['calibration']): EditContext['calibration'] {
  const tokens = windows.reduce((sum, { ids }) => sum + ids.length, 0);
  const count = Math.min(windows.length, Math.max(1, Math.round((windows.length * HEALTH_TOKENS) / tokens)));
  return Array.from({ length: count }, (_, i) => windows[Math.floor(((i + 0.5) * windows.length) / count)]!);
}
