import { collectOutputs, type OutputEvidence, type OutputTap, SKETCH_COLUMNS } from '../evidence/index.js';
import { type HiddenStates, type LoadedBlock, runBlock } from '../model/index.js';
import type { Device } from '../tensor/index.js';
import { describeWeights, type WeightDescription } from './describe-weights.js';
import { type BlockNeurons, HEADS, neuronsOf } from './legs.js';
import type { ClusterSettings, NeuronKind } from './settings.js';

/** Numbers that describe neurons, of one kind. */
export interface Family {
  readonly name: 'outputs' | 'correlations' | 'weights' | 'reads' | 'writes';
  /** What each column is, where it means something by itself; absent where only lengths and angles of rows do. */
  readonly columns?: readonly string[];
  /** [neurons, width]. */
  readonly values: Float64Array;
  readonly width: number;
}

/** What is known of a kind of neurons of one block. */
export interface DescribedNeurons {
  readonly neurons: BlockNeurons;
  readonly block: number;
  readonly families: readonly Family[];
  /** Absent where no text was looked at. */
  readonly outputs?: OutputEvidence;
  readonly weights: WeightDescription;
}

export interface DescribeOptions extends Pick<ClusterSettings, 'by' | 'seed'> {
  readonly kind: NeuronKind;
  readonly device: Device;
  readonly signal?: AbortSignal;
}

/**
 * Describes a block's neurons. With states, they are the calibration windows before the block and become those behind it;
 * without, only weights tell.
 */
export async function describeBlock(
  block: LoadedBlock,
  states: HiddenStates | undefined,
  { by, seed, kind, device, signal }: DescribeOptions,
): Promise<DescribedNeurons[]> {
  const all = neuronsOf(block.spec, kind);
  const stop = signal && { signal };
  const taps = all.map((neurons) => tapOf(block, neurons));
  const outputs: (OutputEvidence | undefined)[] = [];
  if (states !== undefined && taps.length > 0) {
    outputs.push(...(await collectOutputs(block, states, taps, { device, seed, store: true, ...stop })));
  } else if (states !== undefined) {
    await runBlock(block, states, device, { store: true, ...stop });
  }
  const described: DescribedNeurons[] = [];
  for (const [index, neurons] of all.entries()) {
    const weights = await describeWeights(block, neurons, { device, seed, directions: by !== 'functional' });
    const found = outputs[index];
    const families = [
      ...(by === 'structural' || found === undefined ? [] : outputFamilies(found)),
      ...(by === 'functional'
        ? []
        : weightFamilies(
            weights,
            neurons.legs.map(({ name }) => name),
          )),
    ];
    const { index: number } = block.spec;
    described.push({ neurons, block: number, families, weights, ...(found && { outputs: found }) });
  }
  return described;
}

function tapOf(block: LoadedBlock, { population, count, legs, spec }: BlockNeurons): OutputTap {
  if (spec !== undefined) return { kind: 'rows', weight: spec.weight };
  const { input } = block.linears.get(legs.at(-1)!.weight)!.spec;
  return { kind: population === HEADS ? 'norms' : 'columns', input, neurons: count };
}

/** What the outputs are like, and with which others they go up and down. */
function outputFamilies(found: OutputEvidence): Family[] {
  const { mean, variance, kurtosis, sparseness, firing, sketch } = found;
  const root = mean.map((value, j) => Math.sqrt(value * value + variance[j]!));
  const figures: [string, Float64Array][] = [
    ['deviation', logarithms(variance.map(Math.sqrt))],
    ['mean', mean.map((value, j) => (root[j]! > 0 ? value / root[j]! : 0))],
    ['kurtosis', kurtosis.map(logKurtosis)],
    ['sparseness', sparseness],
    ['firing', firing],
  ];
  return [
    { name: 'outputs', ...columnsOf(figures) },
    { name: 'correlations', values: sketch, width: SKETCH_COLUMNS },
  ];
}

function weightFamilies({ legs, reads, writes }: WeightDescription, names: readonly string[]): Family[] {
  const figures = legs.flatMap(({ norm, kurtosis, zeros }, leg): [string, Float64Array][] => [
    [`norm of ${names[leg]}`, logarithms(norm)],
    [`kurtosis of ${names[leg]}`, kurtosis.map(logKurtosis)],
    [`zeros of ${names[leg]}`, zeros],
  ]);
  return [
    { name: 'weights', ...columnsOf(figures) },
    ...(reads ? [{ name: 'reads', ...reads } as const] : []),
    ...(writes ? [{ name: 'writes', ...writes } as const] : []),
  ];
}

/** −2 is the least that there is, a coin's. */
function logKurtosis(excess: number): number {
  return Math.log(excess + 3);
}

/** What a float32 can tell from the largest amount: less counts as that. */
const LEAST_PART = 2 ** -24;

/** Logarithms of amounts; 0, which has none, counts as the least that can be told from the largest. */
function logarithms(amounts: Float64Array): Float64Array {
  const largest = amounts.reduce((most, value) => Math.max(most, value), 0);
  const least = largest > 0 ? largest * LEAST_PART : 1;
  return amounts.map((value) => Math.log(Math.max(value, least)));
}

function columnsOf(named: readonly (readonly [string, Float64Array])[]) {
  const width = named.length;
  const count = named[0]?.[1].length ?? 0;
  const values = new Float64Array(count * width);
  for (const [c, [, column]] of named.entries()) for (let i = 0; i < count; i += 1) values[i * width + c] = column[i]!;
  return { values, width, columns: named.map(([name]) => name) };
}
