import type { BlockSpec, LinearSpec } from '../model/index.js';
import type { NeuronKind } from './settings.js';

/**
 * One part of what neurons are made of: some rows, or some columns, of one weight for each of them. A channel of a gated
 * network has three: its row of gate, its row of up, its column of down.
 */
export interface Leg {
  /** What it is called: the role of its weight, or of its part of a fused one. */
  readonly name: string;
  /** Stored name of the weight. */
  readonly weight: string;
  /** `reads`: rows, what goes in; `writes`: columns of the weight that reads its output, where it goes. */
  readonly way: 'reads' | 'writes';
  /** Rows or columns of neuron `index`, in order; none where nothing is known to read it. */
  of(index: number): readonly number[];
}

/** Neurons of one block that are of a kind. */
export interface BlockNeurons {
  /** What they are clustered with: the network, the matrix, or all heads of the model. */
  readonly population: string;
  readonly expert?: number;
  readonly count: number;
  readonly legs: readonly Leg[];
  /** The weight whose output rows they are; absent for channels and heads. */
  readonly spec?: LinearSpec;
}

/** Heads of a block are too few to be clustered by themselves, so that those of the whole model go together. */
export const HEADS = 'heads';

/** The neurons of a block, in the order of its weights. A block without a network has no channels, one without attention no heads. */
export function neuronsOf(block: BlockSpec, kind: NeuronKind): BlockNeurons[] {
  if (kind === 'rows') return block.linears.map((spec) => rowsOf(block, spec));
  if (kind === 'heads') return block.attention ? [headsOf(block)] : [];
  return block.linears.filter(({ role }) => role === 'down').map((down) => channelsOf(block, down));
}

function rowsOf(block: BlockSpec, spec: LinearSpec): BlockNeurons {
  const { weight, rows: count, expert } = spec;
  const own: Leg = { name: spec.role, weight, way: 'reads', of: (index) => [index] };
  const reader = readerOf(block, spec);
  const legs = reader === undefined ? [own] : [own, reader];
  return { population: weight, count, legs, spec, ...(expert !== undefined && { expert }) };
}

function channelsOf(block: BlockSpec, down: LinearSpec): BlockNeurons {
  const { expert, columns: count } = down;
  const inward = (['gate', 'up'] as const).flatMap((role) => legOf(block, { role, expert }, (index) => [index]));
  const outward: Leg = { name: 'down', weight: down.weight, way: 'writes', of: (index) => [index] };
  const name = `block ${block.index} ffn`;
  return {
    population: expert === undefined ? name : `${name} expert ${expert}`,
    count,
    legs: [...inward, outward],
    ...(expert !== undefined && { expert }),
  };
}

/** Each query head with the key and value heads of its group. */
function headsOf(block: BlockSpec): BlockNeurons {
  const { heads, kvHeads, headDim } = block;
  const span = (head: number) => Array.from({ length: headDim }, (_, i) => head * headDim + i);
  const group = (head: number) => Math.floor((head * kvHeads) / heads);
  const inward = (['q', 'k', 'v'] as const).flatMap((role) => {
    return legOf(block, { role }, (head) => span(role === 'q' ? head : group(head)));
  });
  const outward = block.linears
    .filter(({ role }) => role === 'o')
    .map(({ weight }): Leg => ({ name: 'o', weight, way: 'writes', of: span }));
  return { population: HEADS, count: heads, legs: [...inward, ...outward] };
}

type Role = 'q' | 'k' | 'v' | 'gate' | 'up';

/** A leg of rows of this role, in a weight of its own or in a fused one; none where the block has no such role. */
function legOf(
  { linears }: BlockSpec,
  { role, expert }: { readonly role: Role; readonly expert?: number | undefined },
  of: Leg['of'],
): Leg[] {
  const own = linears.find((spec) => spec.role === role && spec.expert === expert);
  if (own !== undefined) return [{ name: role, weight: own.weight, way: 'reads', of }];
  const fused = linears.find(
    ({ expert: whose, segments }) => whose === expert && segments?.some((s) => s.role === role),
  );
  if (fused === undefined) return [];
  const rows = rowsOfRole(fused, role);
  return [{ name: role, weight: fused.weight, way: 'reads', of: (index) => of(index).map((row) => rows[row]!) }];
}

/** Where in a fused weight the rows of a role are, in the role's own order. */
function rowsOfRole({ segments = [] }: LinearSpec, role: Role): number[] {
  return segments
    .filter((segment) => segment.role === role)
    .flatMap(({ start, rows }) => Array.from({ length: rows }, (_, i) => start + i));
}

/** The columns that read each output row of a weight, where one weight alone reads it: down reads gate and up, o reads v. */
function readerOf(block: BlockSpec, spec: LinearSpec): Leg | undefined {
  const { role, expert } = spec;
  const find = (wanted: 'down' | 'o') =>
    block.linears.find((other) => other.role === wanted && other.expert === expert);
  const down = find('down');
  const o = find('o');
  if (down !== undefined && (role === 'gate' || role === 'up' || role === 'gate-up')) {
    const rows = role === 'gate-up' ? indicesIn(spec, ['gate', 'up']) : undefined;
    return {
      name: 'down',
      weight: down.weight,
      way: 'writes',
      of: (row) => [rows === undefined ? row : rows.get(row)!],
    };
  }
  if (o !== undefined && (role === 'v' || role === 'qkv')) {
    const rows = role === 'qkv' ? indicesIn(spec, ['v']) : undefined;
    return {
      name: 'o',
      weight: o.weight,
      way: 'writes',
      of: (row) => readersOfValue(block, rows === undefined ? row : rows.get(row)),
    };
  }
  return undefined;
}

/** The columns of o that read row `row` of v: one in each query head of its group; none for rows of q and k. */
function readersOfValue({ heads, kvHeads, headDim }: BlockSpec, row: number | undefined): number[] {
  if (row === undefined) return [];
  const perGroup = heads / kvHeads;
  const first = Math.floor(row / headDim) * perGroup;
  return Array.from({ length: perGroup }, (_, i) => (first + i) * headDim + (row % headDim));
}

/** Row of a fused weight → the row's number within its role. */
function indicesIn(spec: LinearSpec, roles: readonly Role[]): ReadonlyMap<number, number> {
  return new Map(roles.flatMap((role) => rowsOfRole(spec, role).map((row, index) => [row, index] as const)));
}

/** The names of a model's populations of this kind, in the order in which they are described. */
export function populationNames(blocks: readonly BlockSpec[], kind: NeuronKind): string[] {
  return [...new Set(blocks.flatMap((block) => neuronsOf(block, kind).map(({ population }) => population)))];
}
