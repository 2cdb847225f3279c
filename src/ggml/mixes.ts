import type { EncodableDtype } from './encoder.js';
import type { MixModel, MixTensor } from './mix.js';

/** A tensor as a rule sees it: `index` counts those of its kind (attn_v among attn_v's), block by block. */
export interface CountedTensor extends MixTensor {
  readonly index: number;
}

/** The model as a rule sees it. */
export interface CountedModel extends MixModel {
  /** How many attn_v (or attn_qkv) there are. */
  readonly values: number;
}

/** One of llama.cpp's named mixes: which block type each matrix gets. */
export interface Mix {
  readonly name: string;
  /** A shorter name. */
  readonly alias?: string;
  /** `general.file_type`. Source: ggml-org/llama.cpp, include/llama.h (`llama_ftype`). */
  readonly fileType: number;
  /** What a matrix gets that no rule names. */
  readonly base: EncodableDtype;
  /** What another matrix gets; undefined for the base. Output (and a tied embedding) have a rule of their own. */
  readonly typeOf?: (tensor: CountedTensor, model: CountedModel) => EncodableDtype | undefined;
}

/** The first and the last eighth of the layers, and every third between. */
function usesMoreBits(index: number, count: number): boolean {
  const eighth = Math.floor(count / 8);
  return index < eighth || index >= Math.floor((7 * count) / 8) || (index - eighth) % 3 === 2;
}

const isEarly = ({ index }: CountedTensor, { layers }: CountedModel, part: number) => index < Math.floor(layers / part);
const isGrouped = ({ heads, keyValueHeads }: CountedModel) => Math.floor(heads / Math.max(1, keyValueHeads)) >= 4;

/** Rules by role. */
type Rules = Partial<Record<'value' | 'ffn_down' | 'attn_output', Rule>>;
type Rule = (tensor: CountedTensor, model: CountedModel) => EncodableDtype | undefined;

/** Mixes whose attn_output gets five bits in a model of eight experts. */
const OUTPUT_BY_EXPERTS = new Set(['Q2_K', 'Q3_K_S', 'Q3_K_M', 'Q4_K_S', 'Q4_K_M']);

function mix(name: string, fileType: number, base: EncodableDtype, rules: Rules = {}): Mix {
  return {
    name,
    ...(/_K_M$/.test(name) && { alias: name.slice(0, -2) }),
    fileType,
    base,
    typeOf(tensor, model) {
      const { role } = tensor;
      const eightExperts = model.experts === 8;
      if (role === 'attn_v' || role === 'attn_qkv') {
        return eightExperts ? 'Q8_0' : widened(rules.value?.(tensor, model) ?? base, model);
      }
      if (role === 'attn_k') return eightExperts ? 'Q8_0' : undefined;
      if (role === 'ffn_down') return rules.ffn_down?.(tensor, model);
      if (role !== 'attn_output') return undefined;
      if (eightExperts) return OUTPUT_BY_EXPERTS.has(name) ? 'Q5_K' : undefined;
      return rules.attn_output?.(tensor, model);
    },
  };
}

/** A 70B model has eight heads on each value, so that a few more bits for attn_v are cheap. */
function widened(dtype: EncodableDtype, { architecture, layers, heads, keyValueHeads }: CountedModel): EncodableDtype {
  const is70B = layers === 80 && (architecture === 'qwen2' || (architecture === 'llama' && heads !== keyValueHeads));
  return is70B && (dtype === 'Q3_K' || dtype === 'Q4_K') ? 'Q5_K' : dtype;
}

const moreBits: Rules = {
  value: ({ index }, { values }) => (usesMoreBits(index, values) ? 'Q6_K' : undefined),
  ffn_down: ({ index }, { layers }) => (usesMoreBits(index, layers) ? 'Q6_K' : undefined),
};

/** With an importance matrix the first eighth of ffn_down gets minima: its symmetric blocks can go astray there. */
const guarded = (dtype: EncodableDtype): Rules => ({
  ffn_down: (tensor, model) => (model.weighted === true && isEarly(tensor, model, 8) ? dtype : undefined),
});

/**
 * Every mix that can be written, by size. A new one is a row.
 * Source: ggml-org/llama.cpp, src/llama-quant.cpp (`llama_tensor_get_type_impl`), tools/quantize/quantize.cpp (`QUANT_OPTIONS`).
 */
export const mixes: readonly Mix[] = [
  mix('Q2_K', 10, 'Q2_K', {
    value: (_tensor, model) => (isGrouped(model) ? 'Q4_K' : 'Q3_K'),
    ffn_down: () => 'Q3_K',
    attn_output: () => 'Q3_K',
  }),
  mix('Q3_K_S', 11, 'Q3_K'),
  mix('Q3_K_M', 12, 'Q3_K', {
    value: ({ index }) => (index < 2 ? 'Q5_K' : 'Q4_K'),
    ffn_down: (tensor, model) => (isEarly(tensor, model, 16) ? 'Q5_K' : 'Q4_K'),
    attn_output: () => 'Q4_K',
  }),
  mix('Q3_K_L', 13, 'Q3_K', { value: () => 'Q5_K', ffn_down: () => 'Q5_K', attn_output: () => 'Q5_K' }),
  mix('Q4_0', 2, 'Q4_0', guarded('Q4_1')),
  mix('Q4_K_S', 14, 'Q4_K', {
    value: ({ index }) => (index < 4 ? 'Q5_K' : undefined),
    ffn_down: (tensor, model) => (isEarly(tensor, model, 8) ? 'Q5_K' : undefined),
  }),
  mix('Q4_K_M', 15, 'Q4_K', moreBits),
  mix('Q4_1', 3, 'Q4_1'),
  mix('Q5_0', 8, 'Q5_0', guarded('Q5_1')),
  mix('Q5_K_S', 16, 'Q5_K'),
  mix('Q5_K_M', 17, 'Q5_K', moreBits),
  mix('Q5_1', 9, 'Q5_1'),
  mix('Q6_K', 18, 'Q6_K'),
  mix('Q8_0', 7, 'Q8_0'),
];
