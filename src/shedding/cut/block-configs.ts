import type { JsonObject } from '../../checkpoint/index.js';
import { BirdboneError } from '../../errors.js';
import { blockConfig } from '../../translation/index.js';
import { type Cut, withChanges } from './own-config.js';

/** `model_type` of the one container in use for blocks of different widths. */
export const BLOCK_CONFIGS_TYPE = 'nemotron-nas';
const BLOCK_CONFIGS_CLASS = 'DeciLMForCausalLM';

/** Architectures whose block and names are those of DeciLM. */
const SAME_BLOCK: readonly string[] = ['llama', 'mistral', BLOCK_CONFIGS_TYPE];

/** What a README has to say of such a model. */
export const BLOCK_CONFIGS_NOTICE =
  `Its blocks have different widths, so it is written as ${BLOCK_CONFIGS_CLASS} (model_type ${BLOCK_CONFIGS_TYPE}, block_configs), ` +
  "which vLLM and llama.cpp load; transformers loads it with that model's own code only.";

/**
 * The config.json of a model whose blocks differ, as DeciLM's `block_configs`. The number of query heads of a block stands in
 * `num_attention_heads` of its attention where blocks differ in it: llama.cpp's format has one for each block, vLLM has one for all.
 * Source: vLLM, model_executor/models/nemotron_nas.py: a width is read as it is only where there is no `ffn_mult`.
 *
 * Throws `unsupported` for an architecture whose block is not Llama's.
 */
export function blockConfigs(cut: Cut): JsonObject {
  const { architecture, widths } = cut;
  if (!SAME_BLOCK.includes(architecture.modelType)) throw noContainer(architecture.modelType);
  const heads = Math.max(...widths.blocks.map((block) => block.heads));
  const {
    num_key_value_heads: _,
    intermediate_size: __,
    sliding_window: ___,
    layer_types: ____,
    ...shared
  } = withChanges(cut, [['num_attention_heads', heads, cut.decoder.heads]]);
  return {
    ...shared,
    architectures: [BLOCK_CONFIGS_CLASS],
    model_type: BLOCK_CONFIGS_TYPE,
    head_dim: widths.headDim,
    block_configs: widths.blocks.map((block) => blockConfig(block, heads)),
  };
}

function noContainer(modelType: string): BirdboneError {
  return new BirdboneError(
    'unsupported',
    `The blocks of this ${modelType} model would have different widths, or lack a half, and no config says that of a ${modelType} model.`,
    { suggestions: ['Shed the same share of every block: --shedding uniform', 'Shed whole blocks: --plates blocks'] },
  );
}
