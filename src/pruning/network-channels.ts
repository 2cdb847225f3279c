import { type ClusterSettings, clusterPopulation, describeModel, type Population } from '../clustering/index.js';
import { createArrays, type Model, type SpillableArrays } from '../model/index.js';
import { holdsIndex, type PlateGraph } from '../plates/index.js';
import { type Compensation, foldColumns, judgedBy, readWeight } from '../shedding/index.js';
import type { Weight } from '../solvers/index.js';
import { advanceStates, calibrationStates } from './calibration-states.js';
import { type ChannelQuota, chosenByQuota, wholeOrder } from './channel-order.js';
import type { EditContext } from './edit.js';
import { workOf } from './removal-rounds.js';
import { type Consumer, consumersOf, outliersOf, statisticsOf } from './shed-consumers.js';

/** One network's channels: their clusters, and in which order they would go. */
export interface NetworkChannels {
  readonly block: number;
  /** Its number among the block's networks. */
  readonly network: number;
  readonly consumer: Consumer;
  readonly assignments: Int32Array;
  readonly population: Population;
  /** Channels that have gone in earlier waves. */
  readonly gone: readonly number[];
  /** How many are to be gone of it, those included. */
  readonly wanted: number;
  /** The others that may go, in the order in which they would, and what each costs then; the last of a network is not among them. */
  readonly order: readonly number[];
  readonly errors: readonly number[];
}

export interface NetworkSurvey {
  readonly graph: PlateGraph;
  readonly compensation: Extract<Compensation, 'ls' | 'none'>;
  readonly aggressiveness: number;
  /** Channels to be gone of each network of a block. */
  wanted(block: number): number;
}

/** The networks of a model, and their weights and Gram matrices in memory or spilled: what folds are made of. */
export class Networks {
  readonly all: readonly NetworkChannels[];
  readonly #arrays: SpillableArrays;
  readonly #compensation: Compensation;

  private constructor(all: readonly NetworkChannels[], arrays: SpillableArrays, compensation: Compensation) {
    this.all = all;
    this.#arrays = arrays;
    this.#compensation = compensation;
  }

  /** Surveys every network of the model as it is; the caller closes it. */
  static async of(survey: NetworkSurvey, settings: ClusterSettings, context: EditContext): Promise<Networks> {
    const { model, dense = model } = context;
    const clustered = await clusteredNetworks(dense, settings, context);
    const consumers = model.decoder.blocks.flatMap(({ index }) => consumersOf(survey.graph, index, 'ffn-channel'));
    const sizes = consumers.flatMap(({ spec: { rows, columns } }) => [rows * columns, columns * columns]);
    const arrays = await createArrays(sizes, context);
    const all: NetworkChannels[] = [];
    const states = await calibrationStates(context);
    try {
      for (const { index: block } of model.decoder.blocks) {
        const own = consumersOf(survey.graph, block, 'ffn-channel');
        const inputs = { index: block, consumers: own, compensation: survey.compensation };
        const statistics = own.length === 0 ? new Map() : await statisticsOf(model, inputs, states, context);
        for (const [network, consumer] of own.entries()) {
          const { assignments, population } = clustered[all.length]!;
          const weight = await readWeight(model.checkpoint, consumer.spec);
          const input = statistics.get(consumer.spec.input)!;
          await arrays.store(2 * all.length, weight.values);
          await arrays.store(2 * all.length + 1, input.gram.values);
          const gram = judgedBy(input, survey.compensation);
          const at = { block, network, consumer, assignments, population };
          all.push({ ...at, ...(await orderOf(survey, { block, consumer, weight, gram }, context)) });
        }
        await advanceStates(model, block, states, context);
      }
      return new Networks(all, arrays, survey.compensation);
    } catch (error) {
      await arrays.close();
      throw error;
    } finally {
      await states.close();
    }
  }

  /** The weight of a network's output linear, [rows, columns], when its quota is gone: folded, or with zeros. */
  async folded(place: number, counts: readonly number[], context: EditContext): Promise<Weight> {
    const { consumer, assignments, gone, order, wanted } = this.all[place]!;
    const { rows, columns, weight: name } = consumer.spec;
    const quota: ChannelQuota = { assignments, counts };
    const sets = chosenByQuota(order, quota, { gone, count: wanted - gone.length }).map(
      (channel) => consumer.sets[channel]!,
    );
    const weight = { rows, columns, values: (await this.#arrays.load(2 * place)).slice() };
    if (this.#compensation === 'none') return withoutColumns(weight, sets);
    const gram = { columns, values: await this.#arrays.load(2 * place + 1) };
    return foldColumns({ weight, gram }, sets, workOf(context, name));
  }

  close(): Promise<void> {
    return this.#arrays.close();
  }
}

function withoutColumns(weight: Weight, sets: readonly Int32Array[]): Weight {
  for (const set of sets) {
    for (const column of set) {
      for (let row = 0; row < weight.rows; row += 1) weight.values[row * weight.columns + column] = 0;
    }
  }
  return weight;
}

/** The clusters of every network's channels, in the order of a forward pass. */
async function clusteredNetworks(dense: Model, settings: ClusterSettings, context: EditContext) {
  const found: { readonly population: Population; readonly assignments: Int32Array }[] = [];
  const { by, seed } = settings;
  for await (const population of describeModel(dense, { kind: 'ffn', by, seed }, context)) {
    const { assignments } = await clusterPopulation(population, settings, context.signal && { signal: context.signal });
    // What is in no cluster has one of its own.
    const next = assignments.reduce((most, cluster) => Math.max(most, cluster), -1) + 1;
    found.push({ population, assignments: assignments.map((cluster) => (cluster < 0 ? next : cluster)) });
  }
  return found;
}

interface Surveyed {
  readonly block: number;
  readonly consumer: Consumer;
  readonly weight: Weight;
  readonly gram: Parameters<typeof foldColumns>[0]['gram'];
}

async function orderOf(
  { wanted: wantedOf, compensation, aggressiveness }: NetworkSurvey,
  { block, consumer, weight, gram }: Surveyed,
  context: EditContext,
): Promise<Pick<NetworkChannels, 'gone' | 'wanted' | 'order' | 'errors'>> {
  const { first, sets, spec } = consumer;
  const outliers = outliersOf(consumer, { index: block, gram }).at(aggressiveness);
  const out = [context.marks, context.spared, outliers].map((plates) => plates.indices('ffn-channel', block));
  const shed = context.marks.indices('ffn-channel', block);
  const gone = [...sets.keys()].filter((channel) => holdsIndex(shed, first + channel));
  const candidates = [...sets.keys()].filter((channel) => !out.some((ranges) => holdsIndex(ranges, first + channel)));
  const wanted = Math.max(gone.length, Math.min(wantedOf(block), gone.length + candidates.length));
  const columns = { weight, gram, sets: candidates.map((channel) => sets[channel]!) };
  const extent = { count: wanted - gone.length, compensation };
  const removals = await wholeOrder(columns, extent, { ...context, name: spec.weight });
  return {
    gone,
    wanted,
    order: removals.map(({ set }) => candidates[set]!),
    errors: removals.map(({ error }) => error),
  };
}
