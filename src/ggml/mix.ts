import { BirdboneError } from '../errors.js';
import { nearest } from '../nearest.js';
import { type BlockDtype, DTYPES } from '../tensor/index.js';
import type { EncodableDtype } from './encoder.js';
import { type Mix, mixes } from './mixes.js';

/** What a matrix is for, as far as a mix tells matrices apart. */
export type TensorRole =
  | 'embedding'
  | 'output'
  | 'attn_q'
  | 'attn_k'
  | 'attn_v'
  | 'attn_qkv'
  | 'attn_output'
  | 'ffn_gate'
  | 'ffn_up'
  | 'ffn_down'
  | 'other';

/** One matrix that is to be stored in blocks. */
export interface MixTensor {
  readonly name: string;
  readonly role: TensorRole;
  /** The block of the model that it belongs to; absent for embedding and output. */
  readonly layer?: number;
  /** Elements in a row. */
  readonly columns: number;
}

/** What of a model decides beside the tensor itself. */
export interface MixModel {
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  /** Of a routed feed-forward; 0 or absent where there is none. */
  readonly experts?: number;
  /** `general.architecture`. */
  readonly architecture?: string;
  /** Whether an importance matrix is given. */
  readonly weighted?: boolean;
}

/** The type of one matrix under a mix, and what was wanted where rows are no whole number of its blocks. */
export interface TypeChoice {
  readonly dtype: EncodableDtype | 'F16';
  /** The type that the mix names, where `dtype` is a fallback for it. */
  readonly wanted?: EncodableDtype;
}

/**
 * The named mix, in any case of letters. Throws `usage`, with the names that there are, for another.
 *
 * @example mixOf('q4_k_m').base // 'Q4_K'
 */
export function mixOf(name: string): Mix {
  const mix = mixes.find(
    (candidate) => candidate.name === name.toUpperCase() || candidate.alias === name.toUpperCase(),
  );
  if (mix !== undefined) return mix;
  const names = mixes.map((candidate) => candidate.name.toLowerCase());
  throw new BirdboneError('usage', `There is no mix of block types "${name}". Known: ${names.join(', ')}.`, {
    suggestions: nearest(name.toLowerCase(), names).slice(0, 1),
  });
}

/**
 * The type of each matrix under a mix, by name: as llama.cpp chooses it. All matrices that are to be stored in blocks must be given
 * together: without one of role `output` the embedding counts as the output too, and attn_v's are counted through.
 * Source: ggml-org/llama.cpp, src/llama-quant.cpp (`llama_tensor_get_type_impl`, `tensor_type_fallback`).
 */
export function chooseTypes(mix: Mix, tensors: readonly MixTensor[], model: MixModel): Map<string, TypeChoice> {
  const tied = !tensors.some(({ role }) => role === 'output');
  const values = inOrder(tensors.filter(({ role }) => isValue(role)));
  // In a routed model the layer counts, for a layer has as many of them as experts.
  const downs = (model.experts ?? 0) > 1 ? [] : inOrder(tensors.filter(({ role }) => role === 'ffn_down'));
  const order = new Map([...values.entries(), ...downs.entries()].map(([index, { name }]) => [name, index]));
  const facts = { ...model, values: values.length };
  return new Map(
    tensors.map((tensor) => {
      const isOutput = tensor.role === 'output' || (tied && tensor.role === 'embedding');
      const index = order.get(tensor.name) ?? tensor.layer ?? 0;
      const wanted = isOutput
        ? outputType(mix, tensor.columns)
        : (mix.typeOf?.({ ...tensor, index }, facts) ?? mix.base);
      return [tensor.name, fitting(wanted, tensor.columns)];
    }),
  );
}

function inOrder(tensors: readonly MixTensor[]): readonly MixTensor[] {
  return tensors.toSorted((a, b) => (a.layer ?? 0) - (b.layer ?? 0));
}

function isValue(role: TensorRole): boolean {
  return role === 'attn_v' || role === 'attn_qkv';
}

function outputType({ base }: Mix, columns: number): EncodableDtype {
  if (columns % DTYPES[base].blockElements !== 0 || base === 'Q8_0') return 'Q8_0';
  return 'Q6_K';
}

/** Blocks of 32 in the place of super-blocks of 256. */
const FALLBACKS: Partial<Record<BlockDtype, EncodableDtype>> = {
  Q2_K: 'Q4_0',
  Q3_K: 'Q4_0',
  Q4_K: 'Q5_0',
  Q5_K: 'Q5_1',
  Q6_K: 'Q8_0',
};

function fitting(wanted: EncodableDtype, columns: number): TypeChoice {
  const fits = (dtype: EncodableDtype) => columns % DTYPES[dtype].blockElements === 0;
  if (fits(wanted)) return { dtype: wanted };
  const fallback = FALLBACKS[wanted];
  return { dtype: fallback !== undefined && fits(fallback) ? fallback : 'F16', wanted };
}

/** How many names a sentence gives of tensors that share a fallback. */
const MAX_NAMES = 3;

/** What was not given its type of the mix, and why: a sentence for each kind of fallback. */
export function fallbackNotices(tensors: readonly MixTensor[], choices: ReadonlyMap<string, TypeChoice>): string[] {
  const kinds = new Map<string, string[]>();
  for (const { name, columns } of tensors) {
    const { dtype, wanted } = choices.get(name)!;
    if (wanted === undefined) continue;
    const { blockElements } = DTYPES[wanted];
    const kind = `${dtype} in place of ${wanted}: rows of ${columns} are no whole number of blocks of ${blockElements}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), name]);
  }
  return [...kinds].map(([kind, names]) => {
    const others = names.length - MAX_NAMES;
    const shown = others > 1 ? `${names.slice(0, MAX_NAMES).join(', ')} and ${others} more` : names.join(', ');
    return `${names.length === 1 ? '1 tensor is' : `${names.length} tensors are`} ${kind} (${shown}).`;
  });
}

/** The role and block of a tensor by its name in a GGUF; undefined for one that llama.cpp does not store in blocks. */
export function roleOfGguf(name: string): { readonly role: TensorRole; readonly layer?: number } | undefined {
  if (!name.endsWith('weight') || KEPT.some((part) => name.includes(part))) return undefined;
  if (name === 'output.weight') return { role: 'output' };
  if (name === 'token_embd.weight' || name === 'per_layer_token_embd.weight') return { role: 'embedding' };
  const role = ROLE_PARTS.find(([part]) => name.includes(part))?.[1] ?? 'other';
  const layer = /^blk\.(\d+)\./.exec(name)?.[1];
  return { role, ...(layer !== undefined && { layer: Number(layer) }) };
}

/** First match counts: attn_qkv before attn_q. */
const ROLE_PARTS: readonly (readonly [string, TensorRole])[] = [
  ['attn_qkv.weight', 'attn_qkv'],
  ['attn_kv_b.weight', 'attn_v'],
  ['attn_v.weight', 'attn_v'],
  ['attn_k.weight', 'attn_k'],
  ['attn_q.weight', 'attn_q'],
  ['attn_output.weight', 'attn_output'],
  ['ffn_up', 'ffn_up'],
  ['ffn_gate', 'ffn_gate'],
  ['ffn_down', 'ffn_down'],
];

/** Parts of the names that are never stored in blocks. Source: src/llama-quant.cpp (`tensor_allows_quantization`). */
const KEPT = [
  ...['_norm.weight', 'ffn_gate_inp.weight', 'ffn_gate_tid2eid.weight', 'altup', 'laurel', 'per_layer_model_proj'],
  ...['position_embd', 'token_types', 'ssm_conv1d', 'shortconv.conv.weight', 'indexer.k_proj.weight'],
  ...['indexer.q_proj.weight', 'time_mix_first.weight', 'time_mix_w0.weight', 'time_mix_w1.weight'],
  ...['time_mix_w2.weight', 'time_mix_v0.weight', 'time_mix_v1.weight', 'time_mix_v2.weight', 'time_mix_a0.weight'],
  ...['time_mix_a1.weight', 'time_mix_a2.weight', 'time_mix_g1.weight', 'time_mix_g2.weight'],
  ...['time_mix_decay_w1.weight', 'time_mix_decay_w2.weight', 'time_mix_lerp_fused.weight', 'attn_rel_b.weight'],
  ...['sam.pos_embd', 'sam.neck.', 'sam.net_', '.rel_pos', '.patch_embd', '.patch_merger', 'a.rvq.codebook'],
  ...['mm.a.code_embd'],
];
