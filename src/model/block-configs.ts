import { z } from 'zod';
import { disagreement, unsupportedValue } from './config-errors.js';

/** One sub-block of a DeciLM's `block_configs`; whatever else it says must say nothing (null or false). */
const attentionConfig = z.looseObject({
  no_op: z.boolean().nullish(),
  n_heads_in_group: z
    .int()
    .min(1)
    .max(2 ** 14)
    .nullish(),
  /** Of this block, where it has fewer query heads than the others: llama.cpp's format knows that, vLLM does not. */
  num_attention_heads: z
    .int()
    .min(1)
    .max(2 ** 14)
    .nullish(),
});
const ffnConfig = z.looseObject({
  no_op: z.boolean().nullish(),
  intermediate_size: z
    .int()
    .min(1)
    .max(2 ** 22)
    .nullish(),
  ffn_mult: z.number().positive().max(1024).nullish(),
});
const blockConfig = z.object({ attention: attentionConfig, ffn: ffnConfig });

/** What a DeciLM says of each of its blocks. */
export const blockConfigs = z.array(blockConfig);
export type BlockConfig = z.infer<typeof blockConfig>;

/** The heads of a block; none without attention. `all` are the model's. Throws for a kind of attention that is not run. */
export function headsOf(
  { attention }: BlockConfig,
  all: number,
  where: Where,
): { readonly heads: number; readonly kvHeads: number } {
  const { no_op: absent, n_heads_in_group: group, num_attention_heads: own, ...rest } = attention;
  refuseOthers(rest, `block_configs[${where.block}].attention`, where.file);
  if (absent === true) return { heads: 0, kvHeads: 0 };
  const heads = own ?? all;
  if (group == null || heads % group !== 0) {
    const named = `block_configs[${where.block}].attention.n_heads_in_group`;
    throw disagreement(where.file, `num_attention_heads (${heads}) must be a multiple of ${named} (${group})`);
  }
  return { heads, kvHeads: heads / group };
}

/** The FFN's width in a block; 0 without an FFN. Throws for a kind of FFN that is not run. */
export function ffnWidthOf({ ffn }: BlockConfig, hidden: number, where: Where): number {
  const { no_op: absent, intermediate_size: width, ffn_mult: multiple, ...rest } = ffn;
  refuseOthers(rest, `block_configs[${where.block}].ffn`, where.file);
  if (absent === true) return 0;
  if (multiple != null) return WIDTH_STEP * Math.ceil(Math.trunc((2 * multiple * hidden) / 3) / WIDTH_STEP);
  if (width != null) return width;
  throw disagreement(where.file, `block_configs[${where.block}].ffn has neither intermediate_size nor ffn_mult`);
}

/** Widths that are given as a multiple of hidden are rounded up to this. */
const WIDTH_STEP = 256;

interface Where {
  readonly block: number;
  readonly file: string;
}

/** Linear replacements, sparsity, sinks, prefill windows: each is null or false in what is run. */
function refuseOthers(rest: Readonly<Record<string, unknown>>, where: string, file: string): void {
  for (const [key, value] of Object.entries(rest)) {
    if (value !== null && value !== false) throw unsupportedValue(file, `${where}.${key}`, value, [false, null]);
  }
}
