import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { readManifest } from '../../src/manifest/index.js';
import { loadTokenizer, openModel } from '../../src/model/index.js';
import { exportState, planRun } from '../../src/waves/index.js';
import { at, go, inWorkplaces, recipe } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

const STEPS = { steps: [{ do: 'prune', plates: 'vocabulary', waves: 1 }] };
const jsonOf = (...file: string[]) => JSON.parse(readFileSync(path.join(...file), 'utf8'));

it('publishes a smaller vocabulary with a tokenizer that encodes the texts to the same tokens', async () => {
  writeFileSync(at('models/fledgling/tokenizer.model'), 'what an older tokenizer reads');
  const messages: string[] = [];
  const report = (event: { type: string; message?: string }) => {
    if (event.type === 'notice') messages.push(event.message!);
  };
  const { out } = await go(STEPS, { report: report as never });
  const [before, after] = [await openModel(at('models/fledgling')), await openModel(out)];
  await before.checkpoint.close();
  await after.checkpoint.close();
  const [rows, kept] = [before.decoder.vocabulary, after.decoder.vocabulary];
  expect(kept).toBeLessThan(rows);
  expect(messages.find((message) => message.startsWith(`${rows - kept} of ${rows} tokens go`))).toBeDefined();
  expect(messages).toContain('Not carried over: tokenizer.model, which fits the weights no more.');
  expect(existsSync(path.join(out, 'tokenizer.model'))).toBe(false);
  expect(jsonOf(out, 'config.json')).toMatchObject({ vocab_size: kept });
  const [whole, cut] = [await loadTokenizer(at('models/fledgling')), await loadTokenizer(out)];
  expect(cut.vocabularySize).toBe(kept);
  // The first windows, which calibration has seen; a window's end may part a word in the middle.
  const text = readFileSync(at('models/fledgling/calibration.txt'), 'utf8');
  const seen = whole.decode(whole.encode(text).slice(0, 4 * 32 - 8));
  expect(cut.encode(seen)).toHaveLength(whole.encode(seen).length);
  expect(cut.decode(cut.encode(seen))).toBe(whole.decode(whole.encode(seen)));
  const { manifest } = await readManifest(out);
  expect(manifest.waves).toMatchObject([{ plates: { vocabulary: expect.any(String) } }]);
  // The state is whole still, and gives the same bytes again.
  await exportState({ reference: `${out}@current`, out: at('out/again') });
  const names = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'];
  const [first, second] = [contentsOf(out), contentsOf(at('out/again'))];
  for (const name of names) expect(second[name]).toBe(first[name]);
}, 60_000);

it('can be planned, and refuses what has no say', async () => {
  await planRun({ recipe: recipe(STEPS), device: 'cpu' });
  for (const change of [{ sparsity: 0.5 }, { target: 'vllm' }, { solver: 'sparsegpt' }, { aggressiveness: 0.3 }]) {
    const steps = [{ do: 'prune', plates: 'vocabulary', ...change }];
    await expect(go({ steps })).rejects.toMatchObject({ code: 'usage' });
  }
});
