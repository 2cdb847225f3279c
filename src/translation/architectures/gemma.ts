import type { GgufArchitecture, TensorNames } from '../architecture.js';
import { decoderConfig } from '../config-from-gguf.js';
import type { DecoderNumbers } from '../config-to-gguf.js';
import type { Config, GgufNumbers } from '../gguf-numbers.js';
import { f32, u32 } from '../gguf-values.js';
import type { OwnMetadata } from '../own-metadata.js';
import { ATTENTION_TENSORS, FFN_TENSORS } from './llama.js';
import { HEAD_NORMS } from './qwen.js';

const PATTERN = 'attention.sliding_window_pattern';
const SCORE_CAP = 'attn_logit_softcapping';
const LOGIT_CAP = 'final_logit_softcapping';
const LOCAL_BASE = 'rope.freq_base_swa';

/** What llama.cpp takes for the period of windows, the caps and the local base where a file does not say. */
const DEFAULTS = {
  gemma2: { period: 2, scoreCap: 50, logitCap: 30 },
  gemma3: { period: 6, localBase: 10_000 },
} as const;
/** By how many blocks llama.cpp knows a 27B, the one size whose scores are scaled by hidden / heads. */
const BLOCKS_OF_27B = { gemma2: 46, gemma3: 62 } as const;

type Gemma = keyof typeof DEFAULTS;

const gained = (gguf: string, huggingFace: string): TensorNames => ({ gguf, huggingFace, form: 'plus-one' });

const layer = 'model.layers.{i}';
/** Gains are stored as w for 1 + w; llama.cpp has 1 + w. The head is the embedding. */
const TENSORS: readonly TensorNames[] = [
  { gguf: 'token_embd', huggingFace: 'model.embed_tokens' },
  gained('output_norm', 'model.norm'),
  gained('blk.{i}.attn_norm', `${layer}.input_layernorm`),
  ...ATTENTION_TENSORS,
  gained('blk.{i}.post_attention_norm', `${layer}.post_attention_layernorm`),
  gained('blk.{i}.ffn_norm', `${layer}.pre_feedforward_layernorm`),
  ...FFN_TENSORS,
  gained('blk.{i}.post_ffw_norm', `${layer}.post_feedforward_layernorm`),
].map((row): TensorNames => ({ ...row, noBias: true }));

/** What llama.cpp scales scores by: nothing in the file says. Source: src/models/{gemma2,gemma3}.cpp (`f_attention_scale`). */
function scalar(gemma: Gemma, { blocks, hidden, heads, headDim }: ScoreSizes): number {
  return blocks === BLOCKS_OF_27B[gemma] ? Math.floor(hidden / heads) : headDim;
}

type ScoreSizes = {
  readonly blocks: number;
  readonly hidden: number;
  readonly heads: number;
  readonly headDim: number;
};

/** The period p of which each block slides a window but every p-th; undefined where the windows follow none. */
function periodOf({ blocks }: DecoderNumbers, usual: number): number | undefined {
  const slides = blocks.map(({ slidingWindow }) => slidingWindow !== undefined);
  const fits = (period: number) => slides.every((slide, block) => slide === isSliding(block, period));
  return [usual, ...Array.from({ length: slides.length }, (_, i) => i + 2)].find(fits);
}

/** Source: ggml-org/llama.cpp, src/llama-hparams.cpp (`set_swa_pattern`). */
function isSliding(block: number, period: number): boolean {
  return block % period < period - 1;
}

function refusal(gemma: Gemma, decoder: DecoderNumbers): string | undefined {
  const { slidingWindow, attentionScale, blocks } = decoder;
  const expected = scalar(gemma, { ...decoder, blocks: blocks.length }) ** -0.5;
  if (Math.abs(attentionScale! / expected - 1) > 1e-6) {
    const [own, theirs] = [attentionScale! ** -2, expected ** -2].map((value) => Number(value.toPrecision(6)));
    return `scores of a ${gemma} with ${blocks.length} blocks are divided by the root of ${theirs}, and query_pre_attn_scalar is ${own}`;
  }
  if (slidingWindow === undefined || periodOf(decoder, DEFAULTS[gemma].period) !== undefined) return undefined;
  const sliding = blocks.flatMap((block, i) => (block.slidingWindow === undefined ? [] : [i]));
  return `it slides a window in all blocks but every n-th, and here in the blocks ${sliding.join(', ')}`;
}

function windowTypes({ blocks }: GgufNumbers, period: number): string[] {
  return Array.from({ length: blocks }, (_, i) => (isSliding(i, period) ? 'sliding_attention' : 'full_attention'));
}

function gemmaConfig(gemma: Gemma, numbers: GgufNumbers): Config {
  return {
    ...decoderConfig(numbers),
    attention_bias: false,
    hidden_act: 'gelu_pytorch_tanh',
    hidden_activation: 'gelu_pytorch_tanh',
    query_pre_attn_scalar: scalar(gemma, numbers),
  };
}

const shared = {
  ropeOrder: 'halves',
  norm: 'rms',
  rotation: 'whole',
  activation: 'gelu-tanh',
  heedsWindows: true,
} as const satisfies Partial<GgufArchitecture>;

/**
 * Gemma 2: sandwich norms, caps on scores and logits, a window in every other block.
 * Source: ggml-org/llama.cpp, src/models/gemma2.cpp and convert_hf_to_gguf.py (`Gemma2Model`).
 */
export const gemma2: GgufArchitecture = {
  ...shared,
  name: 'gemma2',
  models: [{ modelType: 'gemma2', className: 'Gemma2ForCausalLM' }],
  tensors: TENSORS,
  keys: [PATTERN, SCORE_CAP, LOGIT_CAP],
  metadata: (decoder) => ({
    // It always slides; a window of the whole context is none.
    'attention.sliding_window': u32(decoder.slidingWindow ?? decoder.maxContext),
    ...patternKey(decoder, DEFAULTS.gemma2.period),
    [SCORE_CAP]: f32(decoder.attentionSoftcap!),
    [LOGIT_CAP]: f32(decoder.finalSoftcap!),
  }),
  refusal: (decoder) =>
    decoder.attentionSoftcap === undefined || decoder.finalSoftcap === undefined
      ? 'it caps the scores and the logits of every gemma2, and this one has no caps'
      : refusal('gemma2', decoder),
  config: (numbers, own) => ({
    ...gemmaConfig('gemma2', numbers),
    attn_logit_softcapping: own.decimal(SCORE_CAP) ?? DEFAULTS.gemma2.scoreCap,
    final_logit_softcapping: own.decimal(LOGIT_CAP) ?? DEFAULTS.gemma2.logitCap,
    layer_types: windowTypes(numbers, periodIn(own, DEFAULTS.gemma2.period)),
    sliding_window: numbers.window === 0 ? 4096 : numbers.window,
  }),
};

/**
 * Gemma 3, text alone: norms on the heads of q and k, a window in five of six blocks, and a rotary base of their own.
 * Source: ggml-org/llama.cpp, src/models/gemma3.cpp and convert_hf_to_gguf.py (`Gemma3Model`).
 */
export const gemma3: GgufArchitecture = {
  ...shared,
  name: 'gemma3',
  models: [{ modelType: 'gemma3_text', className: 'Gemma3ForCausalLM' }],
  tensors: [...TENSORS, ...HEAD_NORMS.map((row): TensorNames => ({ ...row, form: 'plus-one' }))],
  keys: [PATTERN, LOGIT_CAP, LOCAL_BASE],
  metadata: (decoder) => {
    const local = decoder.blocks.find(({ slidingWindow }) => slidingWindow !== undefined)?.rope?.theta;
    return {
      ...(decoder.slidingWindow !== undefined && patternKey(decoder, DEFAULTS.gemma3.period)),
      ...(local !== undefined && { [LOCAL_BASE]: f32(local) }),
    };
  },
  refusal: (decoder) =>
    decoder.attentionSoftcap === undefined && decoder.finalSoftcap === undefined
      ? refusal('gemma3', decoder)
      : 'it caps neither scores nor logits of a gemma3, and this one has attn_logit_softcapping or final_logit_softcapping',
  config: (numbers, own) => {
    const period = periodIn(own, DEFAULTS.gemma3.period);
    return {
      ...gemmaConfig('gemma3', numbers),
      final_logit_softcapping: own.decimal(LOGIT_CAP) ?? null,
      layer_types: windowTypes(numbers, numbers.window === 0 ? 1 : period),
      rope_local_base_freq: own.decimal(LOCAL_BASE) ?? DEFAULTS.gemma3.localBase,
      sliding_window: numbers.window === 0 ? null : numbers.window,
      sliding_window_pattern: numbers.window === 0 ? 1 : period,
    };
  },
};

function patternKey(decoder: DecoderNumbers, usual: number) {
  const period = decoder.slidingWindow === undefined ? usual : periodOf(decoder, usual)!;
  return period === usual ? {} : { [PATTERN]: u32(period) };
}

function periodIn(own: OwnMetadata, usual: number): number {
  const period = own.integer(PATTERN) ?? usual;
  if (period < 1) throw own.unsupported(PATTERN, `is ${period}; at least 1 is supported`);
  return period;
}
