import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import { convert } from '../../src/conversion/index.js';
import { columnWeights, readImatrix } from '../../src/imatrix/index.js';
import { loadTokenizer } from '../../src/model/index.js';
import { decodeToF32 } from '../../src/tensor/index.js';
import { weigh } from '../../src/weighing/index.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';

const fledgling = fileURLToPath(new URL('../../models/fledgling', import.meta.url));
const text = path.join(fledgling, 'calibration.txt');
const calibration = { file: text, windows: 4, context: 32 };

describe('weigh', () => {
  it('adds up the squares of what the first block reads, as they follow from the embedding', async () => {
    const out = path.join(temporaryFolder(), 'imatrix.gguf');
    const done = await weigh({ model: fledgling, out, calibration, device: 'cpu' });
    expect(done).toMatchObject({ written: true, windows: 4, tokens: 128 });
    const { entries, chunks, chunkSize, datasets } = await readImatrix(out);
    expect({ chunks, chunkSize, datasets }).toEqual({ chunks: 4, chunkSize: 32, datasets: ['calibration.txt'] });
    expect(done.entries).toBe(entries.size);
    const found = entries.get('blk.0.attn_q.weight')!;
    expect([...found.counts]).toEqual([128]);
    // q, k and v read the same input.
    expect(entries.get('blk.0.attn_v.weight')).toEqual(found);
    for (const [i, expected] of (await firstInputSquares(4 * 32)).entries()) {
      expect(found.sums[i]! / expected, `column ${i}`).toBeCloseTo(1, 3);
    }
  });

  it('makes 2-bit blocks lose less of what the matrices compute', async () => {
    const root = temporaryFolder();
    const imatrix = path.join(root, 'imatrix.gguf');
    await weigh({ model: fledgling, out: imatrix, calibration: { ...calibration, windows: 16 }, device: 'cpu' });
    const files = ['exact', 'plain', 'weighted'].map((name) => path.join(root, `${name}.gguf`));
    const [exact, plain, weighted] = files as [string, string, string];
    await convert({ model: fledgling, out: exact, dtype: 'F32' });
    await convert({ model: fledgling, out: plain, mix: 'q2_k' });
    await convert({ model: fledgling, out: weighted, mix: 'q2_k', imatrix });
    const { entries } = await readImatrix(imatrix);
    for (const name of ['blk.0.ffn_down.weight', 'blk.1.attn_q.weight', 'blk.1.ffn_up.weight']) {
      const weights = columnWeights(entries.get(name)!);
      const lost = await weightedError([weighted, exact], name, weights);
      expect(lost).toBeLessThan(0.9 * (await weightedError([plain, exact], name, weights)));
    }
  });

  it('says what it would do on a dry run, and refuses what is no new .gguf file', async () => {
    const root = temporaryFolder();
    const out = path.join(root, 'imatrix.gguf');
    expect(await weigh({ model: fledgling, out, calibration, dryRun: true })).toMatchObject({
      written: false,
      tokens: 128,
    });
    expect(readdirSync(root)).toEqual([]);
    for (const wrong of [
      path.join(root, 'imatrix.dat'),
      path.join(root, 'no', 'imatrix.gguf'),
      path.join(fledgling, 'x'),
    ]) {
      await expect(weigh({ model: fledgling, out: wrong, calibration })).rejects.toMatchObject({ code: 'usage' });
    }
  });

  it('leaves nothing when it is interrupted', async () => {
    const root = temporaryFolder();
    const stopping = new AbortController();
    const weighing = weigh({
      model: fledgling,
      out: path.join(root, 'imatrix.gguf'),
      calibration,
      device: 'cpu',
      signal: stopping.signal,
      report: ({ type }) => {
        if (type === 'progress') stopping.abort();
      },
    });
    await expect(weighing).rejects.toMatchObject({ code: 'interrupted' });
    expect(readdirSync(root)).toEqual([]);
  });
});

/** Σ x² of each column of RMSNorm(embedding), in float64, over the first tokens of the text. */
async function firstInputSquares(tokens: number): Promise<Float64Array> {
  const checkpoint = await openCheckpoint(fledgling);
  const valuesOf = async (name: string) =>
    decodeToF32(await checkpoint.read(name), checkpoint.tensors.get(name)!.dtype);
  const [embedding, gain] = [
    await valuesOf('model.embed_tokens.weight'),
    await valuesOf('model.layers.0.input_layernorm.weight'),
  ];
  await checkpoint.close();
  const config = JSON.parse(readFileSync(path.join(fledgling, 'config.json'), 'utf8')) as { rms_norm_eps: number };
  const hidden = gain.length;
  const sums = new Float64Array(hidden);
  const ids = (await loadTokenizer(fledgling)).encode(readFileSync(text, 'utf8')).subarray(0, tokens);
  for (const id of ids) {
    const row = embedding.subarray(id * hidden, (id + 1) * hidden);
    const meanSquare = row.reduce((sum, x) => sum + x * x, 0) / hidden;
    for (let i = 0; i < hidden; i += 1) sums[i]! += (row[i]! * gain[i]!) ** 2 / (meanSquare + config.rms_norm_eps);
  }
  return sums;
}

/** Σ w·(q − x)² over a tensor of one file, against that of another. */
async function weightedError(files: readonly [string, string], name: string, weights: Float32Array): Promise<number> {
  const [quantized, plain] = [await valuesIn(files[0], name), await valuesIn(files[1], name)];
  return plain.reduce((sum, x, i) => sum + weights[i % weights.length]! * (quantized[i]! - x) ** 2, 0);
}

async function valuesIn(file: string, name: string): Promise<Float32Array> {
  const checkpoint = await openCheckpoint(file);
  const values = decodeToF32(await checkpoint.read(name), checkpoint.tensors.get(name)!.dtype);
  await checkpoint.close();
  return values;
}
