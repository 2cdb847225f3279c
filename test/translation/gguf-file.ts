import path from 'node:path';
import { type GgufMetadata, type GgufValue, GgufWriter, type TensorInfo } from '../../src/checkpoint/index.js';
import { DTYPES, type Dtype, isBlockDtype } from '../../src/tensor/index.js';

export interface GgufTensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Zeros where none are given. */
  readonly bytes?: Uint8Array;
}

/** Writes a GGUF into a folder and returns its path. */
export async function writeGgufFile(
  folder: string,
  metadata: Readonly<Record<string, GgufValue>> | GgufMetadata,
  tensors: Readonly<Record<string, GgufTensor>>,
): Promise<string> {
  const file = path.join(folder, 'model.gguf');
  const infos = Object.entries(tensors).map(([name, tensor]) => ({
    name,
    ...tensor,
    byteLength: byteLengthOf(tensor),
  }));
  const entries: GgufMetadata = metadata instanceof Map ? metadata : new Map(Object.entries(metadata));
  const writer = await GgufWriter.create(file, entries, infos satisfies TensorInfo[]);
  for (const { name, bytes, byteLength } of infos) await writer.write(name, 0, bytes ?? new Uint8Array(byteLength));
  await writer.commit();
  return file;
}

function byteLengthOf({ dtype, shape, bytes }: GgufTensor): number {
  const elements = shape.reduce((product, size) => product * size, 1);
  if (bytes !== undefined) return bytes.length;
  return isBlockDtype(dtype)
    ? (elements / DTYPES[dtype].blockElements) * DTYPES[dtype].blockBytes
    : (elements * DTYPES[dtype].bits) / 8;
}

export const u32 = (value: number): GgufValue => ({ type: 'u32', value });
export const f32 = (value: number): GgufValue => ({ type: 'f32', value });
export const text = (value: string): GgufValue => ({ type: 'string', value });
export const flag = (value: boolean): GgufValue => ({ type: 'bool', value });
export const texts = (values: readonly string[]): GgufValue => ({ type: 'array', of: 'string', values });

export interface TinySizes {
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly ffn: number;
  readonly vocabulary: number;
}
export const TINY: TinySizes = { hidden: 32, heads: 4, kvHeads: 2, ffn: 32, vocabulary: 8 };

/** The metadata of a Llama with one block, without a tokenizer. */
export function tinyMetadata({ hidden, heads, kvHeads, ffn }: TinySizes = TINY): Record<string, GgufValue> {
  return {
    'general.architecture': text('llama'),
    'llama.context_length': u32(64),
    'llama.embedding_length': u32(hidden),
    'llama.block_count': u32(1),
    'llama.feed_forward_length': u32(ffn),
    'llama.attention.head_count': u32(heads),
    'llama.attention.head_count_kv': u32(kvHeads),
    'llama.attention.layer_norm_rms_epsilon': f32(1e-5),
    'llama.rope.freq_base': f32(10_000),
  };
}

/** Its tensors; the head is tied. `matrix` makes the values of each matrix, by name. */
export function tinyTensors(
  { hidden, heads, kvHeads, ffn, vocabulary }: TinySizes = TINY,
  matrix: (name: string, shape: readonly number[]) => GgufTensor = (_, shape) => ({ dtype: 'F32', shape }),
): Record<string, GgufTensor> {
  const headDim = hidden / heads;
  const shapes: Record<string, readonly number[]> = {
    'token_embd.weight': [vocabulary, hidden],
    'blk.0.attn_norm.weight': [hidden],
    'blk.0.attn_q.weight': [heads * headDim, hidden],
    'blk.0.attn_k.weight': [kvHeads * headDim, hidden],
    'blk.0.attn_v.weight': [kvHeads * headDim, hidden],
    'blk.0.attn_output.weight': [hidden, heads * headDim],
    'blk.0.ffn_norm.weight': [hidden],
    'blk.0.ffn_gate.weight': [ffn, hidden],
    'blk.0.ffn_up.weight': [ffn, hidden],
    'blk.0.ffn_down.weight': [hidden, ffn],
    'output_norm.weight': [hidden],
  };
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      shape.length > 1 ? matrix(name, shape) : { dtype: 'F32', shape },
    ]),
  );
}
