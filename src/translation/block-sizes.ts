import type { GgufArchitecture } from './architecture.js';
import type { BlockNumbers } from './config-to-gguf.js';
import type { MetadataReader } from './metadata-reader.js';

/** No model has more blocks, so that nothing is sized by a hostile number. */
const MAX_BLOCKS = 4096;

/**
 * The sizes of every block of a GGUF whose architecture has them one by one. Throws `unreadable` for numbers that are missing, of
 * another count than there are blocks, or whose heads do not divide into groups.
 */
export function blockSizes(reader: MetadataReader, { name }: GgufArchitecture): BlockNumbers[] {
  const key = (own: string) => `${name}.${own}`;
  const count = reader.required(key('block_count'), reader.integer(key('block_count'), MAX_BLOCKS));
  const list = (own: string) => reader.required(key(own), reader.forEachBlock(key(own), count));
  const [heads, kvHeads] = [list('attention.head_count'), list('attention.head_count_kv')];
  const ffn = list('feed_forward_length');
  return heads.map((own, block) => {
    const groups = kvHeads[block]!;
    if (own > 0 && groups === 0) {
      throw reader.unsupported(
        key('attention.head_count_kv'),
        `is 0 for block ${block}: its attention is a linear layer`,
      );
    }
    if (own % Math.max(1, groups) !== 0 || (own === 0 && groups > 0)) {
      throw reader.wrong(key('attention.head_count_kv'), `is ${groups} for the ${own} heads of block ${block}`);
    }
    return { heads: own, kvHeads: groups, ffn: ffn[block]! };
  });
}

/** The heads of the blocks that have most: what config.json says of the model. Throws `unreadable` where none has any. */
export function mostHeads(reader: MetadataReader, { name }: GgufArchitecture, sizes: readonly BlockNumbers[]): number {
  const most = sizes.reduce((largest, { heads }) => Math.max(largest, heads), 0);
  if (most === 0) throw reader.wrong(`${name}.attention.head_count`, 'is 0 for every block');
  return most;
}

/** A block's entry in the `block_configs` of a DeciLM. */
export function blockConfig({ heads, kvHeads, ffn }: BlockNumbers, mostHeads: number): Record<string, unknown> {
  const absent = { no_op: true, replace_with_linear: false };
  const attention = {
    n_heads_in_group: heads / kvHeads,
    no_op: false,
    ...(heads !== mostHeads && { num_attention_heads: heads }),
    replace_with_linear: false,
  };
  return {
    attention: heads === 0 ? { n_heads_in_group: null, ...absent } : attention,
    ffn:
      ffn === 0
        ? { intermediate_size: null, ...absent }
        : { intermediate_size: ffn, no_op: false, replace_with_linear: false },
  };
}
