import type { BlockSpec, LinearRole, LinearSpec, VectorSpec } from '../model/decoder.js';
import { grouped } from './grouped.js';
import { rolesOf } from './stored-slices.js';

/** Attention of one block: its linears and how their rows divide into heads. */
export interface AttentionPart {
  readonly linears: readonly LinearSpec[];
  readonly vectors: readonly string[];
  readonly kvHeads: number;
  readonly headDim: number;
  readonly queriesPerGroup: number;
}

/** One feed-forward network: a block's own, or one expert's. */
export interface FeedForwardPart {
  readonly linears: readonly LinearSpec[];
  readonly channels: number;
}

/** A block as coupled parts. */
export interface BlockParts {
  readonly attention?: AttentionPart;
  /** The dense network, or one entry per expert; empty when the sub-block is a no-op. */
  readonly networks: readonly FeedForwardPart[];
  readonly router?: LinearSpec;
  /** Vectors of the FFN sub-block: its norms. */
  readonly ffnVectors: readonly string[];
  /** Vectors over the hidden dimensions, of both sub-blocks. */
  readonly hiddenVectors: readonly string[];
  /** Vectors over one head's dimensions, with their lengths. */
  readonly headVectors: readonly string[];
}

const ATTENTION_ROLES: readonly LinearRole[] = ['q', 'k', 'v', 'o'];
const FFN_ROLES: readonly LinearRole[] = ['gate', 'up', 'down'];

/** Returns which linears and vectors of a block make up its attention, its feed-forward networks and its router. */
export function blockParts(block: BlockSpec): BlockParts {
  const { linears, vectors } = block;
  const playing = (roles: readonly LinearRole[]) =>
    linears.filter((linear) => [...rolesOf(linear)].some((role) => roles.includes(role)));
  const attention = attentionPart(block, playing(ATTENTION_ROLES));
  const router = linears.find(({ role }) => role === 'router');
  const names = (wanted: (vector: VectorSpec) => boolean) => vectors.filter(wanted).map(({ tensor }) => tensor);
  return {
    ...(attention && { attention: { ...attention, vectors: names(({ kind }) => !ofFeedForward(kind)) } }),
    networks: networksOf(playing(FFN_ROLES)),
    ...(router && { router }),
    ffnVectors: names(({ kind }) => ofFeedForward(kind)),
    hiddenVectors: names(({ axis }) => axis === 'hidden'),
    headVectors: names(({ axis }) => axis === 'head-dim'),
  };
}

function attentionPart({ heads, kvHeads, headDim }: BlockSpec, linears: readonly LinearSpec[]) {
  return linears.length === 0 ? undefined : { linears, kvHeads, headDim, queriesPerGroup: heads / kvHeads };
}

/** Experts in the order of their numbers; linears without one are the block's own network. */
function networksOf(linears: readonly LinearSpec[]): FeedForwardPart[] {
  const byExpert = grouped(linears, ({ expert }) => expert ?? -1);
  return [...byExpert.keys()]
    .sort((a, b) => a - b)
    .map((expert) => {
      const network = byExpert.get(expert)!;
      const down = network.find(({ role }) => role === 'down');
      if (down === undefined) throw new Error(`no "down" among ${network.map(({ weight }) => weight).join(', ')}`);
      return { linears: network, channels: down.columns };
    });
}

/** Kinds of vectors name their sub-block: 'ffn-norm', 'post-ffn-norm' against 'attention-norm', 'q-norm'. */
function ofFeedForward(kind: VectorSpec['kind']): boolean {
  return kind.includes('ffn');
}
