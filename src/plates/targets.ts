/** What an engine wants of the widths of a model that it should load, and load fast. */
export interface TargetRules {
  readonly name: TargetName;
  /** Widths of feed-forward networks and of the residual stream are multiples of this; of this × the shards where `sharded`. */
  readonly widthMultiple: number;
  /** The engine splits heads and channels over `--tp` devices: each takes whole KV groups, and the same number of them. */
  readonly sharded: boolean;
  /** A multiple that loads, too, and what it costs. */
  readonly fallback?: { readonly multiple: number; readonly cost: string };
  /** How it reads blocks of different widths; absent: it reads models of equal blocks alone. */
  readonly unequalBlocks?: string;
  /** Blocks may have fewer query heads than others. */
  readonly unequalHeads: boolean;
  readonly reason: string;
}

export const TARGET_NAMES = ['hf', 'vllm', 'llama.cpp'] as const;
export type TargetName = (typeof TARGET_NAMES)[number];

/** What each target engine wants; docs/plates.md has the sources. */
export const TARGETS: Readonly<Record<TargetName, TargetRules>> = {
  hf: {
    name: 'hf',
    widthMultiple: 1,
    sharded: false,
    unequalHeads: false,
    reason: 'config.json has one width for all blocks; any will do',
  },
  vllm: {
    name: 'vllm',
    // The tiles of its matrix kernels, on each device.
    widthMultiple: 128,
    sharded: true,
    unequalBlocks: 'block_configs of DeciLMForCausalLM',
    // It reads num_attention_heads once, for the model.
    unequalHeads: false,
    reason: 'its kernels take widths in multiples of 128 on each device, and heads are split evenly over devices',
  },
  'llama.cpp': {
    name: 'llama.cpp',
    // The super-blocks of its K-quants.
    widthMultiple: 256,
    sharded: false,
    fallback: { multiple: 32, cost: 'Q4_K and Q6_K tensors become Q5_0 and Q8_0' },
    unequalBlocks: 'the arrays of the GGUF architecture deci',
    unequalHeads: true,
    reason: 'K-quants pack 256 weights of a row',
  },
};

/** The number that a width must be a multiple of. `shards` is `--tp`. */
export function widthMultiple(rules: TargetRules, shards = 1): number {
  return rules.widthMultiple * (rules.sharded ? shards : 1);
}

/**
 * The most plates of `count` that may go so that the rest is a multiple of `multiple` and not nothing: at most `wanted`. What is
 * no multiple to begin with may stay as it is, and goes down to multiples only.
 */
export function allowedRemoval(count: number, wanted: number, multiple: number): number {
  const kept = Math.ceil((count - Math.min(wanted, count - 1)) / multiple) * multiple;
  return Math.max(0, count - kept);
}
