import { BirdboneError } from '../errors.js';
import type { LoadedBlock } from '../model/index.js';
import type { PlateGraph } from '../plates/index.js';
import type { Allotment } from '../shedding/index.js';
import {
  bounded,
  type Counts,
  clusterName,
  ERROR_LEVELS,
  figureStart,
  type NamedStart,
  optimiseThresholds,
  type ThresholdCluster,
  type ThresholdResult,
} from '../thresholds/index.js';
import type { BlockVariants, Candidates } from './candidate-contest.js';
import type { ChannelQuota } from './channel-order.js';
import { channelHealth } from './cluster-health.js';
import type { EditContext, ProposalDetails } from './edit.js';
import { type NetworkChannels, Networks } from './network-channels.js';
import type { ShedRules } from './shed-settings.js';
import { expectation, thresholdDetails } from './threshold-details.js';
import { earlierStart } from './threshold-history.js';
import { clusterSettings, searchSettings, type ThresholdSettings } from './threshold-settings.js';
import { openTexts } from './threshold-trial.js';

/** How many channels of each cluster go, by block and network, and what the wave's record has to say of that. */
export interface ChannelThresholds {
  readonly quotas: readonly (readonly ChannelQuota[])[];
  readonly details: ProposalDetails;
}

/**
 * How many channels of each cluster go, so that the model's predictions change least. Every network loses as many as are allotted
 * to it: clusters trade within their network alone. Where trading gains nothing, those channels go that would go without clusters.
 */
export async function channelThresholds(
  rules: ShedRules & { readonly clusterThresholds: ThresholdSettings },
  { graph, allotment }: { readonly graph: PlateGraph; readonly allotment: Allotment },
  context: EditContext,
): Promise<ChannelThresholds> {
  const { compensation, aggressiveness, clusterThresholds: settings } = rules;
  if (compensation === 'flap') throw new RangeError('no trial of biases');
  const { seed = 0, target, report } = context;
  const wanted = (block: number) => allotment['ffn-channel'][block]! / graph.families('ffn-channel', block).length;
  const survey = { graph, compensation, aggressiveness, wanted };
  const networks = await Networks.of(survey, clusterSettings(settings, seed), context);
  try {
    const budgets = networks.all.map((network) => network.wanted);
    const health = await channelHealth(networks.all, context);
    const all = networks.all.flatMap((network, pool) => clustersOf(network, pool, health));
    const clusters = bounded(all, settings, budgets);
    const trial = await openTexts((candidates) => foldedVariants(networks, clusters, candidates, context), context);
    try {
      const whole = orderStart(networks, clusters);
      const starts: NamedStart[] = [
        { name: 'uniform', counts: whole },
        { name: 'figures', counts: figureStart(whole, clusters, budgets) },
        ...earlierStart(context, clusters, budgets),
      ];
      const search = searchSettings(settings);
      const onStep = (done: number, total: number) =>
        report({ type: 'progress', stage: 'thresholds', done, total, unit: 'generations' });
      const result = await optimiseThresholds({ clusters, target, budgets, starts, trial, search, seed, onStep });
      report({ type: 'notice', message: expectation(result, { target, clusters }) });
      return {
        quotas: isAsWithout(result) ? [] : quotasOf(networks, result.counts, graph.blocks.length),
        details: thresholdDetails(result, clusters, target),
      };
    } finally {
      await trial.close();
    }
  } finally {
    await networks.close();
  }
}

/** Throws `usage` for a fold whose effect on candidates is not tried. */
export function checkChannelThresholds({ plates, compensation }: ShedRules): void {
  if (plates !== 'ffn') {
    throw new BirdboneError(
      'usage',
      `--thresholds cluster is of single weights or of FFN channels, and --plates ${plates} sheds others.`,
      { suggestions: ['Shed FFN channels: --plates ffn', 'Leave --thresholds out.'] },
    );
  }
  if (compensation !== 'flap') return;
  throw new BirdboneError('usage', '--thresholds cluster tries candidates by least squares, not with --fold flap.', {
    suggestions: ['Fold by least squares: --fold ls', 'Leave --thresholds out.'],
  });
}

/** Quotas would hold behind other blocks what was counted before any of them was shed. */
function isAsWithout({ chosen }: ThresholdResult): boolean {
  return chosen === 'uniform';
}

/** The channels that go without clusters, as counts of the clusters. */
function orderStart(networks: Networks, clusters: readonly ThresholdCluster[]): Counts {
  const counts = new Map(clusters.map(({ name }) => [name, 0]));
  for (const { consumer, assignments, gone, order, wanted } of networks.all) {
    for (const channel of [...gone, ...order.slice(0, wanted - gone.length)]) {
      const name = clusterName(consumer.spec.weight, assignments[channel]!);
      counts.set(name, counts.get(name)! + 1);
    }
  }
  return counts;
}

function clustersOf(network: NetworkChannels, pool: number, health: ReadonlyMap<string, number>): ThresholdCluster[] {
  const { block, consumer, assignments } = network;
  const count = 1 + Math.max(...assignments);
  return Array.from({ length: count }, (_, cluster) => {
    const members = [...assignments.keys()].filter((channel) => assignments[channel] === cluster);
    const gone = network.gone.filter((channel) => assignments[channel] === cluster).length;
    const errors = errorsOf(network, cluster);
    const free = network.order.filter((channel) => assignments[channel] === cluster).length;
    const name = clusterName(consumer.spec.weight, cluster);
    return {
      name,
      matrix: consumer.spec.weight,
      block,
      cluster,
      rows: members.length,
      pool,
      elements: members.length,
      gone,
      most: gone + free,
      figures: { ...figuresOf(network, members, gone), health: health.get(name) ?? 1 },
      errors,
    };
  });
}

/** What the cluster's channels cost in the order in which they go, summed up, at even steps of the whole cluster. */
function errorsOf({ assignments, order, errors, gone }: NetworkChannels, cluster: number): Float64Array {
  const already = gone.filter((channel) => assignments[channel] === cluster).map(() => 0);
  const own = [...already, ...errors.filter((_, i) => assignments[order[i]!] === cluster)];
  const members = assignments.reduce((sum, other) => sum + (other === cluster ? 1 : 0), 0);
  const sums = new Float64Array(ERROR_LEVELS + 1);
  let sum = 0;
  let next = 0;
  for (let level = 1; level <= ERROR_LEVELS; level += 1) {
    for (; next < Math.min(own.length, Math.floor((level * members) / ERROR_LEVELS)); next += 1) sum += own[next]!;
    sums[level] = sum;
  }
  return sums;
}

function figuresOf({ population }: NetworkChannels, members: readonly number[], gone: number) {
  const mean = (values: ArrayLike<number>) => members.reduce((sum, i) => sum + values[i]!, 0) / members.length;
  const { contribution, norm, outputs } = population;
  return {
    importance: mean(contribution ?? norm),
    variance: outputs === undefined ? 0 : mean(outputs.variance),
    density: 1 - gone / members.length,
  };
}

function quotasOf(networks: Networks, counts: Counts, blocks: number): ChannelQuota[][] {
  return Array.from({ length: blocks }, (_, block) =>
    networks.all
      .filter((network) => network.block === block)
      .map((network) => ({
        assignments: network.assignments,
        counts: countsOf(network, (name) => counts.get(name)!),
      })),
  );
}

function countsOf({ consumer, assignments }: NetworkChannels, countOf: (name: string) => number): number[] {
  const clusters = 1 + Math.max(...assignments);
  return Array.from({ length: clusters }, (_, cluster) => countOf(clusterName(consumer.spec.weight, cluster)));
}

/** Candidates as blocks whose networks have lost their channels, folded as they would be. */
function foldedVariants(
  networks: Networks,
  clusters: readonly ThresholdCluster[],
  candidates: readonly ReadonlyMap<string, number>[],
  context: EditContext,
): Candidates['variants'] {
  const sizes = new Map(clusters.map(({ name, elements }) => [name, elements]));
  return async (block): Promise<BlockVariants> => {
    const own = [...networks.all.entries()].filter(([, network]) => network.block === block.spec.index);
    // Candidates of a generation differ in few networks.
    const known = new Map<string, Float32Array>();
    const takenOf = (network: NetworkChannels, candidate: Counts) =>
      countsOf(network, (name) => Math.round(candidate.get(name)! * sizes.get(name)!));
    const foldedOf = async (place: number, network: NetworkChannels, candidate: number) => {
      const counts = takenOf(network, candidates[candidate]!);
      const key = `${place}:${counts.join()}`;
      const values = known.get(key) ?? (await networks.folded(place, counts, context)).values;
      known.set(key, values);
      return values;
    };
    return {
      keys: candidates.map((candidate) => own.map(([, network]) => takenOf(network, candidate).join()).join(' ')),
      of: async (candidate) => {
        const weights = new Map<string, Float32Array>();
        for (const [place, network] of own) {
          weights.set(network.consumer.spec.weight, await foldedOf(place, network, candidate));
        }
        return withWeights(block, weights, context);
      },
      close: () => known.clear(),
    };
  };
}

/** The block with other values in some of its weights. */
function withWeights(
  block: LoadedBlock,
  weights: ReadonlyMap<string, Float32Array>,
  { device }: Pick<EditContext, 'device'>,
): Awaited<ReturnType<BlockVariants['of']>> {
  const linears = new Map(block.linears);
  const uploaded: { dispose(): void }[] = [];
  for (const [name, values] of weights) {
    const linear = block.linears.get(name)!;
    let next = 0;
    const parts = linear.weight.parts.map(({ size, shape }) => {
      const part = device.upload(values.subarray(next, next + size), shape);
      next += size;
      uploaded.push(part);
      return part;
    });
    linears.set(name, { ...linear, weight: { ...linear.weight, parts } });
  }
  return {
    block: { ...block, linears },
    dispose: () => {
      for (const part of uploaded) part.dispose();
    },
  };
}
