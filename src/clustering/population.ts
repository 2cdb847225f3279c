import type { OutputEvidence } from '../evidence/index.js';
import type { LinearSpec } from '../model/index.js';
import type { DescribedNeurons, Family } from './describe-block.js';

/** Figures of what neurons give over a text, [neurons] each. */
export const OUTPUT_FIGURES = ['mean', 'variance', 'kurtosis', 'sparseness', 'firing'] as const;
export type OutputFigures = Readonly<Record<(typeof OUTPUT_FIGURES)[number], Float64Array>>;

/** Neurons that are clustered together. */
export interface Population {
  /** Unique in a model: "block 3 ffn", the name of a weight, "heads". */
  readonly name: string;
  /** Absent where neurons of several blocks are together. */
  readonly block?: number;
  readonly expert?: number;
  readonly count: number;
  /** The blocks that they are of, in order, and how many are of each. */
  readonly parts: readonly { readonly block: number; readonly count: number }[];
  readonly families: readonly Family[];
  /** Tokens that `outputs` were counted over; 0 without a text. */
  readonly tokens: number;
  readonly outputs?: OutputFigures;
  /** √Σ w² over all of its weights [neurons]. */
  readonly norm: Float64Array;
  /** Fraction of its weights that are not 0 [neurons]. */
  readonly density: Float64Array;
  /**
   * √E[y²] ‖W‖ of its output y and the weights W that read it: of a channel exactly the root mean square of what it adds to the residual
   * stream, of a head no more than that is; absent without a text, and where no single weight reads it [neurons].
   */
  readonly contribution?: Float64Array;
  /** 1: gives nothing, and is in no cluster [neurons]. */
  readonly gone: Uint8Array;
  /** The weight whose output rows they are. */
  readonly spec?: LinearSpec;
}

/** The neurons of one block, or those of several as one population. */
export function populationOf(parts: readonly DescribedNeurons[]): Population {
  const [first] = parts;
  if (first === undefined) throw new RangeError('a population of no neurons');
  const { population: name, expert, spec } = first.neurons;
  const outputs = parts.flatMap((part) => (part.outputs === undefined ? [] : [part.outputs]));
  const contributions = parts.flatMap((part) => contributionOf(part) ?? []);
  return {
    name,
    ...(parts.length === 1 && { block: first.block }),
    ...(expert !== undefined && { expert }),
    ...(spec !== undefined && { spec }),
    count: parts.reduce((sum, { neurons }) => sum + neurons.count, 0),
    parts: parts.map(({ block, neurons }) => ({ block, count: neurons.count })),
    families: first.families.map(({ name: family }) => joined(family, parts)),
    tokens: outputs[0]?.tokens ?? 0,
    ...(outputs.length > 0 && { outputs: figuresOf(outputs) }),
    ...(contributions.length === parts.length && { contribution: concatenated(contributions) }),
    norm: concatenated(parts.map(normsOf)),
    density: concatenated(parts.map(densitiesOf)),
    gone: Uint8Array.from(parts.flatMap(({ weights }) => [...weights.gone])),
  };
}

function contributionOf({ neurons, outputs, weights }: DescribedNeurons): Float64Array | undefined {
  const reader = neurons.legs.findIndex(({ way }) => way === 'writes');
  if (outputs === undefined || reader < 0) return undefined;
  const { norm } = weights.legs[reader]!;
  return outputs.mean.map((mean, j) => Math.sqrt(mean * mean + outputs.variance[j]!) * norm[j]!);
}

/** Blocks may differ in their widths where an architecture says so: then the narrower directions end in zeros. */
function joined(name: Family['name'], parts: readonly DescribedNeurons[]): Family {
  const own = parts.map(({ families }) => families.find((family) => family.name === name)!);
  const [first] = own;
  if (own.length === 1) return first!;
  const width = Math.max(...own.map((family) => family.width));
  const rows = own.flatMap((family) => {
    const count = family.width === 0 ? 0 : family.values.length / family.width;
    return Array.from({ length: count }, (_, i) => family.values.subarray(i * family.width, (i + 1) * family.width));
  });
  const values = new Float64Array(rows.length * width);
  for (const [i, row] of rows.entries()) values.set(row, i * width);
  return { ...first!, values, width };
}

function figuresOf(outputs: readonly OutputEvidence[]): OutputFigures {
  return Object.fromEntries(
    OUTPUT_FIGURES.map((figure) => [figure, concatenated(outputs.map((output) => output[figure]))]),
  ) as unknown as OutputFigures;
}

function normsOf(described: DescribedNeurons): Float64Array {
  const legs = ownLegs(described);
  return Float64Array.from({ length: described.neurons.count }, (_, i) =>
    Math.hypot(...legs.map(({ norm }) => norm[i]!)),
  );
}

/** Legs count alike: those of one kind of neurons are about as long. */
function densitiesOf(described: DescribedNeurons): Float64Array {
  const legs = ownLegs(described);
  const zeros = (i: number) => legs.reduce((sum, leg) => sum + leg.zeros[i]!, 0) / legs.length;
  return Float64Array.from({ length: described.neurons.count }, (_, i) => 1 - zeros(i));
}

/** What reads an output row is not the row's own. */
function ownLegs({ neurons, weights }: DescribedNeurons): DescribedNeurons['weights']['legs'] {
  return neurons.spec === undefined ? weights.legs : weights.legs.slice(0, 1);
}

function concatenated(parts: readonly Float64Array[]): Float64Array {
  const values = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    values.set(part, offset);
    offset += part.length;
  }
  return values;
}
