import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ggufMetadata, openCheckpoint } from '../../src/checkpoint/index.js';
import { convert } from '../../src/conversion/index.js';
import { loadTokenizer, openModel } from '../../src/model/index.js';
import { Marks, plateGraph } from '../../src/plates/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { llamaMissing, withLlama } from '../llama/llama.js';
import { logitsOf, negativeLogLikelihood } from '../model/logits.js';
import { sharedData, sharedMissing, sharedModel } from '../shared.js';
import { furthest, writeCut, zeroed } from './shed-states.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

const range = (kind: 'ffn-channel' | 'kv-group', block: number, start: number, count: number) => {
  return { kind, block, start, count } as const;
};

/** Blocks of different widths: channels, heads, and a half that is gone. */
const CASES = {
  'channels that differ': [range('ffn-channel', 0, 0, 96), range('ffn-channel', 1, 100, 32)],
  'heads that differ': [range('kv-group', 0, 1, 1), range('ffn-channel', 0, 0, 96), range('ffn-channel', 1, 7, 64)],
  'a block without attention': [{ kind: 'attention', block: 1, index: 1 } as const, range('ffn-channel', 1, 0, 64)],
};
const SIZES = {
  'channels that differ': { ffn: [288, 352], heads: [8, 8], kvHeads: [4, 4] },
  'heads that differ': { ffn: [288, 320], heads: [6, 8], kvHeads: [3, 4] },
  'a block without attention': { ffn: [384, 320], heads: [8, 0], kvHeads: [4, 0] },
};

describe.skipIf(sharedMissing !== undefined)(sharedMissing ?? 'a model whose blocks differ', () => {
  it.each(Object.keys(CASES) as (keyof typeof CASES)[])('with %s is a DeciLM, and a GGUF of deci', async (name) => {
    const model = await openModel(sharedModel('tinystories-656k'));
    expect(plateGraph(model.decoder).count('kv-group', 0)).toBe(4);
    const marks = Marks.of(CASES[name]);
    const folder = await writeCut(model, marks, mkdtempSync(path.join(tmpdir(), 'birdbone-deci-')));
    const tokenizer = await loadTokenizer(folder);
    const text = readFileSync(sharedData('tinystories-1000', 'eval.txt'), 'utf8').slice(0, 4000);
    const ids = Int32Array.from([tokenizer.bosTokenId!, ...tokenizer.encode(text).subarray(0, 255)]);
    const full = await logitsOf(zeroed(model, marks), [ids], device);
    await model.checkpoint.close();

    const cut = await openModel(folder);
    expect(cut.decoder.architecture).toBe('nemotron-nas');
    expect(furthest(await logitsOf(cut, [ids], device), full)).toBeLessThan(1e-5);
    await cut.checkpoint.close();

    const file = path.join(folder, 'model.gguf');
    await convert({ model: folder, out: file });
    const stored = await openCheckpoint(file);
    const metadata = ggufMetadata(stored)!;
    const list = (key: string) => Array.from((metadata.get(`deci.${key}`) as { values: ArrayLike<number> }).values);
    expect(metadata.get('general.architecture')).toEqual({ type: 'string', value: 'deci' });
    expect({
      ffn: list('feed_forward_length'),
      heads: list('attention.head_count'),
      kvHeads: list('attention.head_count_kv'),
    }).toEqual(SIZES[name]);
    await stored.close();
    const again = await openModel(file);
    expect(furthest(await logitsOf(again, [ids], device), full)).toBeLessThan(1e-5);
    await again.checkpoint.close();
    if (llamaMissing !== undefined) return;
    const ours = Array.from(ids.subarray(1), (id, t) => negativeLogLikelihood(full[0]!, t, 2048, id));
    await withLlama(file, async (llama) => {
      const theirs = await llama.negativeLogLikelihoods([...ids]);
      const ratio = Math.exp(mean(theirs) - mean(ours));
      expect(Math.abs(ratio - 1)).toBeLessThan(0.005);
    });
  });
});

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
