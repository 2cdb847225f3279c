import { BirdboneError } from '../errors.js';

/** What a plate is a set of; in the order in which marks and lists name them. */
export const PLATE_KINDS = [
  'ffn-channel',
  'kv-group',
  'attention',
  'ffn',
  'block',
  'expert',
  'hidden',
  'vocabulary',
] as const;

/**
 * `ffn-channel`: one inner channel of a feed-forward network. `kv-group`: one key and value head with the query heads that read
 * it. `attention`, `ffn`: a sub-block, which then adds nothing to the residual stream. `block`: both. `expert`: one expert with
 * its router row. `hidden`: one dimension of the residual stream, everywhere. `vocabulary`: one token's rows.
 */
export type PlateKind = (typeof PLATE_KINDS)[number];

/** Kinds whose plates belong to one block each, several to a block. */
export const KINDS_IN_BLOCKS: readonly PlateKind[] = ['ffn-channel', 'kv-group', 'expert'];
/** Kinds of which a block has one at most: their index is the block's. */
export const KINDS_OF_BLOCKS: readonly PlateKind[] = ['attention', 'ffn', 'block'];

/** A growth plate: coupled slices of tensors that are shed together. */
export interface Plate {
  /** `ffn-channel:3:17`, `kv-group:3:1`, `attention:3`, `ffn:3`, `block:3`, `expert:3:5`, `hidden:17`, `vocabulary:17`. */
  readonly id: string;
  readonly kind: PlateKind;
  /** The block it lies in; absent for hidden dimensions and tokens, which are of the whole model. */
  readonly block?: number;
  /** Its number among those of its kind and block; a sub-block's and a block's is the block's. */
  readonly index: number;
  /** Stored numbers that go with it; those shared with other plates are counted in each. */
  readonly parameters: number;
}

/** Consecutive plates of one kind, and of one block where the kind lies in blocks. */
export interface PlateRange {
  readonly kind: PlateKind;
  readonly block?: number;
  readonly start: number;
  readonly count: number;
}

/** `count` consecutive rows (axis 0) or columns (axis 1) of a stored tensor, as it is stored; vectors have axis 0 alone. */
export interface PlateSlice {
  readonly tensor: string;
  readonly axis: 0 | 1;
  readonly start: number;
  readonly count: number;
}

/** Where a plate is: what its id says. */
export interface PlateAddress {
  readonly kind: PlateKind;
  readonly block?: number;
  readonly index: number;
}

/** The id of a plate. */
export function plateId({ kind, block, index }: PlateAddress): string {
  return KINDS_IN_BLOCKS.includes(kind) ? `${kind}:${block}:${index}` : `${kind}:${index}`;
}

/** What an id names, whether a model has it or not. Throws `usage` for what is no id. */
export function parsePlateId(id: string): PlateAddress {
  const match = /^([a-z-]+):(0|[1-9]\d{0,14})(?::(0|[1-9]\d{0,14}))?$/.exec(id);
  const kind = PLATE_KINDS.find((known) => known === match?.[1]);
  const inBlock = kind !== undefined && KINDS_IN_BLOCKS.includes(kind);
  if (match === null || kind === undefined || inBlock !== (match[3] !== undefined)) {
    const shown = JSON.stringify(id.slice(0, 80));
    throw new BirdboneError(
      'usage',
      `${shown} is no plate: they are called kind:block:index, kind:block or kind:index.`,
      {
        suggestions: [`Use one of the kinds ${PLATE_KINDS.join(', ')}, as in "ffn-channel:3:17" or "attention:3".`],
      },
    );
  }
  const first = Number(match[2]);
  if (inBlock) return { kind, block: first, index: Number(match[3]) };
  return KINDS_OF_BLOCKS.includes(kind) ? { kind, block: first, index: first } : { kind, index: first };
}
