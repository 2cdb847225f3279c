import { describe, expect, it } from 'vitest';
import type { GgufValue } from '../../src/checkpoint/index.js';
import { loadTokenizer, openModel } from '../../src/model/index.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';
import {
  f32,
  flag,
  type GgufTensor,
  TINY,
  text,
  texts,
  tinyMetadata,
  tinyTensors,
  u32,
  writeGgufFile,
} from '../translation/gguf-file.js';

interface Case {
  readonly metadata?: Readonly<Record<string, GgufValue | undefined>>;
  readonly tensors?: Readonly<Record<string, GgufTensor | undefined>>;
  readonly code: 'unreadable' | 'unsupported';
  /** What the message must name. */
  readonly says: string | RegExp;
}

const u64 = (value: bigint): GgufValue => ({ type: 'u64', value });
const integers = (values: readonly number[]): GgufValue => ({ type: 'array', of: 'i32', values });
const floats = (values: readonly number[]): GgufValue => ({ type: 'array', of: 'f32', values });
const matrix = (...shape: number[]): GgufTensor => ({ dtype: 'F32', shape });
const factors = (values: readonly number[]): GgufTensor => ({
  dtype: 'F32',
  shape: [values.length],
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});
const A = 'llama.attention';

/** A file whose container is sound, and whose model is not. */
const MODELS: Readonly<Record<string, Case>> = {
  'no architecture': {
    metadata: { 'general.architecture': undefined },
    code: 'unreadable',
    says: 'general.architecture',
  },
  'an architecture that is a number': { metadata: { 'general.architecture': u32(7) }, code: 'unreadable', says: 'u32' },
  'an unknown architecture': {
    metadata: { 'general.architecture': text('mamba') },
    code: 'unsupported',
    says: 'mamba',
  },
  'an architecture that steers the terminal': {
    metadata: { 'general.architecture': text('\u001b[2J') },
    code: 'unsupported',
    says: /^\P{Cc}*$/u,
  },
  'no number of blocks': { metadata: { 'llama.block_count': undefined }, code: 'unreadable', says: 'block_count' },
  'a billion blocks': { metadata: { 'llama.block_count': u32(1e9) }, code: 'unreadable', says: 'num_hidden_layers' },
  'more blocks than tensors': { metadata: { 'llama.block_count': u32(4000) }, code: 'unreadable', says: 'layers.1.' },
  'a context of 2^63': {
    metadata: { 'llama.context_length': u64(2n ** 63n) },
    code: 'unreadable',
    says: '9223372036854775808',
  },
  'a width that is a text': { metadata: { 'llama.embedding_length': text('32') }, code: 'unreadable', says: 'string' },
  'no heads': { metadata: { [`${A}.head_count`]: u32(0) }, code: 'unreadable', says: 'head_count' },
  'heads that do not divide the width': {
    metadata: { [`${A}.head_count`]: u32(5) },
    code: 'unreadable',
    says: 'head_count',
  },
  'heads of two billion columns': {
    metadata: { [`${A}.key_length`]: u32(2 ** 31 - 1) },
    code: 'unreadable',
    says: 'attn_',
  },
  'heads of an odd width': { metadata: { [`${A}.key_length`]: u32(7) }, code: 'unreadable', says: 'attn_' },
  'values of another width than keys': {
    metadata: { [`${A}.value_length`]: u32(4) },
    code: 'unsupported',
    says: 'value_length',
  },
  'rotary embedding of half a head': {
    metadata: { 'llama.rope.dimension_count': u32(4) },
    code: 'unsupported',
    says: 'dimension_count',
  },
  'blocks of several widths': {
    metadata: { 'llama.feed_forward_length': integers([32, 16]) },
    code: 'unsupported',
    says: 'feed_forward_length',
  },
  'no widths at all': {
    metadata: { 'llama.feed_forward_length': integers([]) },
    code: 'unsupported',
    says: 'feed_forward_length',
  },
  'widths that are texts': {
    metadata: { 'llama.feed_forward_length': texts(['a']) },
    code: 'unreadable',
    says: 'integers',
  },
  'an epsilon that is no number': {
    metadata: { [`${A}.layer_norm_rms_epsilon`]: f32(Number.NaN) },
    code: 'unreadable',
    says: 'layer_norm_rms_epsilon',
  },
  'a rope base below zero': { metadata: { 'llama.rope.freq_base': f32(-1) }, code: 'unreadable', says: 'rope_theta' },
  'rope scaling of another kind': {
    metadata: { 'llama.rope.scaling.type': text('yarn') },
    code: 'unsupported',
    says: 'yarn',
  },
  'a setting that nobody knows': {
    metadata: { 'llama.logit_scale': f32(0.1) },
    code: 'unsupported',
    says: 'llama.logit_scale',
  },
  'experts, and nobody says how many are used': {
    metadata: { 'llama.expert_count': u32(8) },
    code: 'unreadable',
    says: 'llama.expert_used_count is missing',
  },
  'experts that are not there': {
    metadata: { 'llama.expert_count': u32(8), 'llama.expert_used_count': u32(2) },
    code: 'unreadable',
    says: 'block_sparse_moe.gate.weight',
  },
  'attention that looks ahead': { metadata: { [`${A}.causal`]: flag(false) }, code: 'unsupported', says: 'causal' },
  'no embedding': { tensors: { 'token_embd.weight': undefined }, code: 'unreadable', says: 'token_embd' },
  'an embedding of one dimension': {
    tensors: { 'token_embd.weight': matrix(256) },
    code: 'unreadable',
    says: 'token_embd',
  },
  'a tensor that is missing': { tensors: { 'blk.0.ffn_up.weight': undefined }, code: 'unreadable', says: 'up_proj' },
  'a tensor of another shape': {
    tensors: { 'blk.0.ffn_up.weight': matrix(32, 31) },
    code: 'unreadable',
    says: 'up_proj',
  },
  'a query of other rows than its heads': {
    tensors: { 'blk.0.attn_q.weight': matrix(24, 32) },
    code: 'unreadable',
    says: 'attn_q',
  },
  'a query without dimensions': { tensors: { 'blk.0.attn_q.weight': matrix() }, code: 'unreadable', says: 'attn_q' },
  'a tensor that no Llama has': {
    tensors: { 'blk.0.attn_sinks.weight': matrix(4) },
    code: 'unsupported',
    says: 'attn_sinks',
  },
  'a second spelling of a name': {
    tensors: { 'blk.00.attn_q.weight': matrix(32, 32) },
    code: 'unsupported',
    says: 'blk.00.',
  },
  'a block too many': { tensors: { 'blk.1.ffn_up.weight': matrix(32, 32) }, code: 'unreadable', says: 'layers.1.' },
  'frequency factors of another length': {
    tensors: { 'rope_freqs.weight': factors([1, 1, 1]) },
    code: 'unreadable',
    says: 'rope_freqs',
  },
  "frequency factors that are not Llama 3's": {
    tensors: { 'rope_freqs.weight': factors([1, 7, 2, 5]) },
    code: 'unsupported',
    says: 'rope_freqs',
  },
  'frequency factors that are no numbers': {
    tensors: { 'rope_freqs.weight': factors([1, Number.NaN, 2, 5]) },
    code: 'unsupported',
    says: 'rope_freqs',
  },
};

const TOKENS = ['<unk>', '<s>', 'a', 'b', 'ab', 'ba', 'c', 'd'];
const spm: Record<string, GgufValue> = {
  'tokenizer.ggml.model': text('llama'),
  'tokenizer.ggml.tokens': texts(TOKENS),
  'tokenizer.ggml.token_type': integers([2, 3, 1, 1, 1, 1, 1, 1]),
  'tokenizer.ggml.scores': floats([0, 0, 0, 0, -1, -2, 0, 0]),
};
const bpe: Record<string, GgufValue> = {
  ...spm,
  'tokenizer.ggml.model': text('gpt2'),
  'tokenizer.ggml.pre': text('gpt-2'),
  'tokenizer.ggml.merges': texts(['a b']),
};

const TOKENIZERS: Readonly<Record<string, Case>> = {
  none: { code: 'unreadable', says: 'no tokenizer' },
  'another kind': { metadata: { ...spm, 'tokenizer.ggml.model': text('bert') }, code: 'unsupported', says: 'bert' },
  'an unknown way to cut words': {
    metadata: { ...bpe, 'tokenizer.ggml.pre': text('evil-7') },
    code: 'unsupported',
    says: 'evil-7',
  },
  'no way to cut words': {
    metadata: { ...bpe, 'tokenizer.ggml.pre': undefined },
    code: 'unsupported',
    says: 'tokenizer.ggml.pre',
  },
  'tokens that are numbers': {
    metadata: { ...spm, 'tokenizer.ggml.tokens': integers([1, 2]) },
    code: 'unreadable',
    says: 'tokens',
  },
  'fewer types than tokens': {
    metadata: { ...spm, 'tokenizer.ggml.token_type': integers([1]) },
    code: 'unreadable',
    says: 'token_type',
  },
  'fewer scores than tokens': {
    metadata: { ...spm, 'tokenizer.ggml.scores': floats([1]) },
    code: 'unreadable',
    says: 'scores',
  },
  'scores that are no numbers': {
    metadata: { ...spm, 'tokenizer.ggml.scores': floats(TOKENS.map(() => Number.NaN)) },
    code: 'unreadable',
    says: 'scores',
  },
  'no scores': { metadata: { ...spm, 'tokenizer.ggml.scores': undefined }, code: 'unsupported', says: 'scores' },
  'no merges': { metadata: { ...bpe, 'tokenizer.ggml.merges': undefined }, code: 'unsupported', says: 'merges' },
  'a merge of one part': {
    metadata: { ...bpe, 'tokenizer.ggml.merges': texts(['ab']) },
    code: 'unreadable',
    says: '"ab"',
  },
  'an id beyond the vocabulary': {
    metadata: { ...spm, 'tokenizer.ggml.bos_token_id': u32(8) },
    code: 'unreadable',
    says: 'bos_token_id',
  },
  'a piece of a megabyte': {
    metadata: { ...spm, 'tokenizer.ggml.tokens': texts([...TOKENS.slice(1), 'ab'.repeat(500_000)]) },
    code: 'unsupported',
    says: 'too long',
  },
};

async function fileOf({ metadata = {}, tensors = {} }: Case): Promise<string> {
  const entries = <T>(values: Readonly<Record<string, T | undefined>>) =>
    Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Record<string, T>;
  return writeGgufFile(
    temporaryFolder(),
    entries({ ...tinyMetadata(), ...metadata }),
    entries({ ...tinyTensors(TINY), ...tensors }),
  );
}

async function refusal(work: Promise<unknown>): Promise<{ code?: string; message: string; file?: string }> {
  const started = performance.now();
  const error = await work.then(
    () => ({ message: 'nothing was refused' }),
    (thrown: Error) => thrown,
  );
  expect(performance.now() - started).toBeLessThan(1000);
  return error;
}

describe('a GGUF of a broken model is refused by name', () => {
  it.each(Object.entries(MODELS))('%s', async (_, hostile) => {
    const file = await fileOf(hostile);
    const { code, message, file: named } = await refusal(openModel(file));
    expect(message).toMatch(hostile.says);
    expect({ code, named }).toEqual({ code: hostile.code, named: file });
  });

  it('and the sound one is not', async () => {
    const model = await openModel(await fileOf({ code: 'unreadable', says: '' }));
    expect(model.decoder.blocks.length).toBe(1);
    await model.checkpoint.close();
  });
});

describe('a GGUF with a broken tokenizer is refused when the tokenizer is asked for', () => {
  it.each(Object.entries(TOKENIZERS))('%s', async (_, hostile) => {
    const file = await fileOf(hostile);
    const { code, message, file: named } = await refusal(loadTokenizer(file));
    expect(message).toMatch(hostile.says);
    expect({ code, named }).toEqual({ code: hostile.code, named: file });
    // Weights are there all the same.
    const model = await openModel(file);
    expect(model.checkpoint.notices?.join()).toMatch(/tokenizer/);
    await model.checkpoint.close();
  });

  it.each([spm, bpe])('and a sound one is not', async (metadata) => {
    const tokenizer = await loadTokenizer(await fileOf({ metadata, code: 'unreadable', says: '' }));
    expect(tokenizer.vocabularySize).toBe(8);
    expect([...tokenizer.encode('ab')].at(-1)).toBe(4);
  });
});
