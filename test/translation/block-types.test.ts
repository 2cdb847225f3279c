import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import { convert } from '../../src/conversion/index.js';
import { openModel } from '../../src/model/index.js';
import { type BlockDtype, DTYPES, decodeToF32, isBlockDtype } from '../../src/tensor/index.js';
import { asHuggingFace } from '../../src/translation/index.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';
import { dequantizeWithGgml, llamaMissing, quantizeWithGgml } from '../llama/llama.js';
import { uniform } from '../reference/tiny-model.js';
import { tinyMetadata, tinyTensors, writeGgufFile } from './gguf-file.js';

const BLOCK_DTYPES = Object.keys(DTYPES).filter((name) => isBlockDtype(name as BlockDtype)) as BlockDtype[];
/** Rows of 256 values hold every kind of block; 4 heads of 64 rows, 2 of them keys. */
const SIZES = { hidden: 256, heads: 4, kvHeads: 2, ffn: 256, vocabulary: 3 };
const HEAD_ROWS = 64;

/** Random blocks: any bytes are some block; without their second bit, no scale is NaN, which has many spellings. */
function blocksOf(dtype: BlockDtype, shape: readonly number[], seed: number) {
  const { blockBytes, blockElements } = DTYPES[dtype];
  const random = uniform(seed);
  const elements = shape.reduce((product, size) => product * size, 1);
  const bytes = Uint8Array.from(
    { length: (elements / blockElements) * blockBytes },
    () => Math.floor(random() * 256) & 0xbf,
  );
  return { dtype, shape, bytes };
}

describe.each(BLOCK_DTYPES)('a GGUF of %s blocks', (dtype) => {
  it('reads as F32 in the order of rows that transformers wants, in any range', async () => {
    const tensors = tinyTensors(SIZES, (name, shape) => blocksOf(dtype, shape, name.length));
    const file = await writeGgufFile(temporaryFolder(), tinyMetadata(SIZES), tensors);
    const view = await asHuggingFace(await openCheckpoint(file));
    const name = 'model.layers.0.self_attn.k_proj.weight';
    expect(view.tensors.get(name)).toEqual({ name, dtype: 'F32', shape: [128, 256], byteLength: 128 * 256 * 4 });

    const values = decodeToF32(tensors['blk.0.attn_k.weight']!.bytes!, dtype);
    const expected = new Float32Array(values.length);
    for (let head = 0; head < 2; head++) {
      for (let pair = 0; pair < HEAD_ROWS / 2; pair++) {
        for (const half of [0, 1]) {
          const from = (head * HEAD_ROWS + 2 * pair + half) * 256;
          expected.set(values.subarray(from, from + 256), (head * HEAD_ROWS + half * (HEAD_ROWS / 2) + pair) * 256);
        }
      }
    }
    const bytes = new Uint8Array(expected.buffer);
    expect(Buffer.compare(await view.read(name), bytes)).toBe(0);
    for (const [offset, length] of [
      [0, 4],
      [1020, 8],
      [4096, 70_000],
      [3, 5],
      [bytes.length - 9, 9],
    ] as const) {
      const part = await view.read(name, { offset, length });
      expect(Buffer.compare(part, bytes.subarray(offset, offset + length))).toBe(0);
    }
    expect(decodeToF32(await view.read('model.embed_tokens.weight'), 'F32')).toEqual(
      decodeToF32(tensors['token_embd.weight']!.bytes!, dtype),
    );
    await view.close();
  });

  it.skipIf(llamaMissing !== undefined)(`holds what ggml quantizes (${llamaMissing ?? 'checked'})`, async () => {
    const random = uniform(5);
    const weights = Float32Array.from({ length: 256 * 256 }, () => random() - 0.5);
    const q = { dtype, shape: [256, 256], bytes: quantizeWithGgml(dtype, weights, 256) };
    const tensors = { ...tinyTensors(SIZES), 'blk.0.ffn_up.weight': q };
    const file = await writeGgufFile(temporaryFolder(), tinyMetadata(SIZES), tensors);
    const out = `${file}-dense.gguf`;
    await convert({ model: file, out, dtype: 'F32' });
    const dense = await openCheckpoint(out);
    const values = decodeToF32(await dense.read('blk.0.ffn_up.weight'), 'F32');
    await dense.close();
    const expected = dequantizeWithGgml(dtype, q.bytes);
    expect(Buffer.compare(Buffer.from(values.buffer), Buffer.from(expected.buffer))).toBe(0);
  });
});

it('a GGUF without a tokenizer is a model, and says that it has none', async () => {
  const file = await writeGgufFile(temporaryFolder(), tinyMetadata(SIZES), tinyTensors(SIZES));
  const { checkpoint, decoder } = await openModel(file);
  expect(decoder).toMatchObject({ headDim: HEAD_ROWS, tied: true });
  expect(checkpoint.notices).toEqual(['The file has no tokenizer.']);
  await checkpoint.close();
});
