import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';

/** W [rows, columns] = [out, in], row-major f64 in shared memory: all workers see one copy. */
export interface Weight {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
}

export const LINEARS = ['q', 'k', 'v', 'o', 'gate', 'up', 'down'] as const;
export type LinearName = (typeof LINEARS)[number];

export interface Block {
  readonly attentionNorm: Float64Array;
  readonly ffnNorm: Float64Array;
  readonly linears: Readonly<Record<LinearName, Weight>>;
}

export interface ReferenceModel {
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
  readonly epsilon: number;
  readonly ropeTheta: number;
  readonly bos: number;
  readonly embedding: Weight;
  readonly head: Weight;
  readonly finalNorm: Float64Array;
  readonly blocks: readonly Block[];
}

/** Where transformers' LlamaForCausalLM stores each linear of a block. */
const STORED: Record<LinearName, string> = {
  q: 'self_attn.q_proj',
  k: 'self_attn.k_proj',
  v: 'self_attn.v_proj',
  o: 'self_attn.o_proj',
  gate: 'mlp.gate_proj',
  up: 'mlp.up_proj',
  down: 'mlp.down_proj',
};

/** Reads a small single-file Llama checkpoint (F32 or BF16) whole, widened to f64. */
export function loadReferenceModel(folder: string): ReferenceModel {
  const config = JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8')) as Record<string, number>;
  if (config['rope_scaling']) throw new Error('the reference has plain rotary positions only');
  const tensors = readTensors(path.join(folder, 'model.safetensors'));
  const weight = (name: string): Weight => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new Error(`no tensor ${name} in ${folder}`);
    return { rows: tensor.shape[0]!, columns: tensor.shape[1] ?? 1, values: tensor.values };
  };
  // A tied table is stored under either of its two names.
  const embedding = tensors.has('model.embed_tokens.weight') ? 'model.embed_tokens.weight' : 'lm_head.weight';
  const head = tensors.has('lm_head.weight') ? 'lm_head.weight' : embedding;
  const blocks = Array.from({ length: config['num_hidden_layers']! }, (_, index): Block => {
    const at = `model.layers.${index}`;
    const linears = LINEARS.map((linear) => [linear, weight(`${at}.${STORED[linear]}.weight`)]);
    return {
      attentionNorm: weight(`${at}.input_layernorm.weight`).values,
      ffnNorm: weight(`${at}.post_attention_layernorm.weight`).values,
      linears: Object.fromEntries(linears) as Record<LinearName, Weight>,
    };
  });
  return {
    hidden: config['hidden_size']!,
    heads: config['num_attention_heads']!,
    kvHeads: config['num_key_value_heads']!,
    headDim: config['head_dim'] ?? config['hidden_size']! / config['num_attention_heads']!,
    ffn: config['intermediate_size']!,
    epsilon: config['rms_norm_eps']!,
    ropeTheta: config['rope_theta']!,
    bos: config['bos_token_id']!,
    embedding: weight(embedding),
    head: weight(head),
    finalNorm: weight('model.norm.weight').values,
    blocks,
  };
}

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

/** Every tensor of a small file, widened. The safetensors layout: u64 header length, JSON header, data. */
export function readTensors(file: string): Map<string, { shape: number[]; values: Float64Array }> {
  const bytes = readFileSync(file);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<string, HeaderEntry>;
  const tensors = new Map<string, { shape: number[]; values: Float64Array }>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [start, end] = entry.data_offsets;
    const data = bytes.subarray(8 + headerBytes + start, 8 + headerBytes + end);
    tensors.set(name, { shape: entry.shape, values: widen(data, entry.dtype) });
  }
  return tensors;
}

/** Bytes of one element and its value at a byte, of the types that the real checkpoints here have. */
const ELEMENTS: Record<string, { bytes: number; at: (data: Buffer, byte: number) => number }> = {
  F32: { bytes: 4, at: (data, byte) => data.readFloatLE(byte) },
  I32: { bytes: 4, at: (data, byte) => data.readInt32LE(byte) },
  // A bfloat16 is the upper half of a float32.
  BF16: { bytes: 2, at: (data, byte) => Buffer.of(0, 0, data[byte]!, data[byte + 1]!).readFloatLE(0) },
};

function widen(data: Buffer, dtype: string): Float64Array {
  const element = ELEMENTS[dtype];
  if (element === undefined) throw new Error(`the reference does not read ${dtype}`);
  const count = data.length / element.bytes;
  const values = new Float64Array(new SharedArrayBuffer(count * 8));
  for (let i = 0; i < count; i++) values[i] = element.at(data, i * element.bytes);
  return values;
}

function loadTokenizer(folder: string): Tokenizer {
  const read = (name: string) => JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as object;
  return new Tokenizer(read('tokenizer.json'), read('tokenizer_config.json'));
}

/** Protocol B: the file encoded once, no BOS, cut into windows of `context`; the first `limit` of them. */
export function readWindows(
  folder: string,
  file: string,
  context: number,
  limit = Number.POSITIVE_INFINITY,
): Int32Array[] {
  const { ids } = loadTokenizer(folder).encode(readFileSync(file, 'utf8'), { add_special_tokens: false });
  const count = Math.min(limit, Math.floor(ids.length / context));
  return Array.from({ length: count }, (_, i) => Int32Array.from(ids.slice(i * context, (i + 1) * context)));
}

/** Protocol A: every line's `text` is a document: BOS and its ids, cut at `context`. */
export function readDocuments(folder: string, file: string, context: number): Int32Array[] {
  const tokenizer = loadTokenizer(folder);
  const config = JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8')) as { bos_token_id: number };
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => {
    const { text } = JSON.parse(line) as { text: string };
    const { ids } = tokenizer.encode(text, { add_special_tokens: false });
    return Int32Array.from([config.bos_token_id, ...ids].slice(0, context));
  });
}
