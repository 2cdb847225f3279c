import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import { convert } from '../../src/conversion/index.js';
import { evaluateModel } from '../../src/evaluation/index.js';
import { diffCheckpoints, verifyFolder } from '../../src/manifest/index.js';
import { loadTokenizer, openModel } from '../../src/model/index.js';
import { openState, rollbackTo } from '../../src/waves/index.js';
import { at, go, inWorkplaces, recipe } from '../fixtures/runs.js';

inWorkplaces();

describe('a GGUF as the base of a run', () => {
  it('is pruned as its folder is, and what is published is a whole Hugging Face folder', async () => {
    const gguf = at('base', 'fledgling.gguf');
    await convert({ model: at('models/fledgling'), out: gguf });
    const { calibration } = recipe();
    const fromFolder = await go({ out: at('out/folder') });
    const fromFile = await go({ model: gguf, out: at('out/file'), calibration });
    expect(fromFile.result).toEqual(fromFolder.result);

    // Nothing beside the GGUF goes along; what is inside does.
    const expected = ['birdbone.json', 'config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
    expect(readdirSync(fromFile.out).sort()).toEqual(expected);
    expect((await verifyFolder(fromFile.out)).matches).toBe(true);
    expect(existsSync(path.join(at('base'), 'birdbone.json'))).toBe(false);

    const [ours, theirs] = [await openModel(fromFile.out), await openModel(fromFolder.out)];
    for (const { linears } of ours.decoder.blocks) {
      for (const { weight } of linears) {
        expect(Buffer.compare(await ours.checkpoint.read(weight), await theirs.checkpoint.read(weight))).toBe(0);
      }
    }
    await ours.checkpoint.close();
    await theirs.checkpoint.close();
    const text = 'The quick brown fox, 12 times.';
    const ids = (await loadTokenizer(at('models/fledgling'))).encode(text);
    expect([...(await loadTokenizer(fromFile.out)).encode(text)]).toEqual([...ids]);
  });

  it('can be gone back to, and compared with what was made of it', async () => {
    const gguf = at('base', 'fledgling.gguf');
    await convert({ model: at('models/fledgling'), out: gguf });
    const { out } = await go({ model: gguf });
    const before = await openState(gguf);
    const after = await openState(out);
    const pruned = await diffCheckpoints(before.checkpoint, after.checkpoint);
    expect(pruned.counts).toMatchObject({ added: 0, removed: 0 });
    expect(pruned.identical).toBe(false);
    await after.checkpoint.close();

    await rollbackTo({ out, to: 0, diffs: at('diffs') });
    const dense = await openState(out);
    const undone = await diffCheckpoints(before.checkpoint, dense.checkpoint);
    expect(undone.identical).toBe(true);
    await before.checkpoint.close();
    await dense.checkpoint.close();
  });

  it('is evaluated like its folder', async () => {
    const gguf = at('base', 'fledgling.gguf');
    await convert({ model: at('models/fledgling'), out: gguf });
    const passages = { protocol: 'windows', context: 64, limit: 8 } as const;
    const options = { data: at('models/fledgling/evaluation.txt'), ...passages, seed: 1, device: 'cpu' } as const;
    const ours = await evaluateModel({ model: gguf, ...options });
    const theirs = await evaluateModel({ model: at('models/fledgling'), ...options });
    expect(ours.perplexity).toBe(theirs.perplexity);
    const raw = await openCheckpoint(gguf);
    expect(raw.tensors.has('blk.0.attn_q.weight')).toBe(true);
    await raw.close();
  });
});
