import { TINY_LLAMA, type TinyModel, tinyModel, uniform } from '../reference/tiny-model.js';

const HIDDEN = 32;
export const CHANNELS = 48;
/** The dimension that tells one half of the tokens from the other, one that tells quarters, and one that is 1 for every token. */
const [HALF, QUARTER, CONSTANT] = [0, 1, 2];
/** Every channel's weights differ by this much besides what is planted. */
const NOISE = 0.02;

/**
 * A model whose channels of each block are of three kinds, by their number modulo 3: those that fire at one half of the tokens, at the
 * other half, and at a quarter of each; which write to places of their own. `kinds` are the kinds by number. Its attention gives
 * nothing. Channels of block 1 in `gone` have a gate of zeros.
 */
export function plantedModel(gone: readonly number[] = []): { model: TinyModel; kinds: Int32Array } {
  const model = tinyModel({ ...TINY_LLAMA, intermediate_size: CHANNELS, tie_word_embeddings: false });
  const random = uniform(11);
  const noise = () => NOISE * (2 * random() - 1);
  const valuesOf = (name: string) => model.tensors.get(name)!.values as Float32Array;
  const embedding = valuesOf('model.embed_tokens.weight');
  for (let token = 0; token < TINY_LLAMA.vocab_size; token += 1) {
    const row = embedding.subarray(token * HIDDEN, (token + 1) * HIDDEN).map(noise);
    row[HALF] = token % 2 === 0 ? 1 : -1;
    row[QUARTER] = token % 4 < 2 ? 1 : -1;
    row[CONSTANT] = 1;
    embedding.set(row, token * HIDDEN);
  }
  for (let block = 0; block < TINY_LLAMA.num_hidden_layers; block += 1) {
    const prefix = `model.layers.${block}`;
    valuesOf(`${prefix}.self_attn.o_proj.weight`).fill(0);
    valuesOf(`${prefix}.post_attention_layernorm.weight`).fill(1);
    const [gate, up, down] = ['gate', 'up', 'down'].map((name) => valuesOf(`${prefix}.mlp.${name}_proj.weight`));
    for (let channel = 0; channel < CHANNELS; channel += 1) {
      const kind = channel % 3;
      const gateRow = new Float32Array(HIDDEN).map(noise);
      const upRow = new Float32Array(HIDDEN).map(noise);
      gateRow[kind === 2 ? QUARTER : HALF] = kind === 1 ? -3 : 3;
      upRow[CONSTANT] = 1;
      gate!.set(gateRow, channel * HIDDEN);
      up!.set(upRow, channel * HIDDEN);
      // What a kind writes is little, and where no channel reads: the second block sees the tokens as the first does.
      for (let i = 0; i < HIDDEN; i += 1)
        down![i * CHANNELS + channel] = 0.005 * (noise() + (i === 8 + kind ? 0.3 : 0));
    }
  }
  for (const channel of gone) {
    valuesOf('model.layers.1.mlp.gate_proj.weight').fill(0, channel * HIDDEN, (channel + 1) * HIDDEN);
  }
  return { model, kinds: Int32Array.from({ length: CHANNELS }, (_, channel) => channel % 3) };
}
