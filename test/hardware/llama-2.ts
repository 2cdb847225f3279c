import type { Checkpoint, TensorInfo } from '../../src/checkpoint/index.js';
import { describeModel, type Model } from '../../src/model/index.js';

const [HIDDEN, FFN, LAYERS, VOCABULARY] = [4096, 11_008, 32, 32_000];

/** Llama 2 of 7 billion parameters as its config.json and its tensors' shapes say; there are no values to read. */
export async function llama2(): Promise<Model> {
  const block = (index: number): [string, number[]][] => [
    [`model.layers.${index}.input_layernorm.weight`, [HIDDEN]],
    ...['q', 'k', 'v', 'o'].map((role): [string, number[]] => [
      `model.layers.${index}.self_attn.${role}_proj.weight`,
      [HIDDEN, HIDDEN],
    ]),
    [`model.layers.${index}.post_attention_layernorm.weight`, [HIDDEN]],
    [`model.layers.${index}.mlp.gate_proj.weight`, [FFN, HIDDEN]],
    [`model.layers.${index}.mlp.up_proj.weight`, [FFN, HIDDEN]],
    [`model.layers.${index}.mlp.down_proj.weight`, [HIDDEN, FFN]],
  ];
  const shapes: [string, number[]][] = [
    ['model.embed_tokens.weight', [VOCABULARY, HIDDEN]],
    ...Array.from({ length: LAYERS }, (_, index) => block(index)).flat(),
    ['model.norm.weight', [HIDDEN]],
    ['lm_head.weight', [VOCABULARY, HIDDEN]],
  ];
  const tensors = new Map(
    shapes.map(([name, shape]): [string, TensorInfo] => {
      const byteLength = 2 * shape.reduce((product, extent) => product * extent, 1);
      return [name, { name, dtype: 'F16', shape, byteLength }];
    }),
  );
  const checkpoint: Checkpoint = {
    path: 'Llama-2-7b',
    format: 'shapes',
    tensors,
    aliases: new Map(),
    metadata: {},
    read: () => Promise.reject(new Error('Predictions read no weights.')),
    close: () => Promise.resolve(),
  };
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: HIDDEN,
    intermediate_size: FFN,
    num_hidden_layers: LAYERS,
    num_attention_heads: 32,
    num_key_value_heads: 32,
    vocab_size: VOCABULARY,
    max_position_embeddings: 4096,
    rms_norm_eps: 1e-5,
    hidden_act: 'silu',
    tie_word_embeddings: false,
    torch_dtype: 'float16',
  };
  return { checkpoint, decoder: await describeModel(checkpoint, config, 'config.json') };
}
