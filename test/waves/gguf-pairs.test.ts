import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { diffCheckpoints } from '../../src/manifest/index.js';
import { openPair } from '../../src/waves/index.js';
import { entry, ggufBytes, pair, text } from '../fixtures/gguf-file.js';
import { patterned, temporaryFolder } from '../fixtures/safetensors-file.js';

/** A GGUF with one Q8_0 tensor, or the same bytes as I8, and a chat template. */
function written(name: string, { template = 'a', type = 8 } = {}): string {
  const file = path.join(temporaryFolder(), name);
  const ne = type === 8 ? [32] : [34];
  const pairs = [
    pair('general.architecture', 'string', text('llama')),
    pair('tokenizer.chat_template', 'string', text(template)),
  ];
  writeFileSync(file, ggufBytes({ pairs, entries: [entry({ name: 'w', ne, type })], data: patterned(34) }));
  return file;
}

async function diffOf(before: string, after: string) {
  const [first, second] = await openPair(before, after);
  const diff = await diffCheckpoints(first.checkpoint, second.checkpoint);
  await first.checkpoint.close();
  await second.checkpoint.close();
  return diff;
}

describe('two GGUF files', () => {
  it('are identical when everything is', async () => {
    expect(await diffOf(written('a.gguf'), written('b.gguf'))).toMatchObject({ identical: true });
  });

  it('differ in a text that no tensor shows', async () => {
    const diff = await diffOf(written('a.gguf'), written('b.gguf', { template: 'b' }));
    expect(diff).toMatchObject({
      identical: false,
      counts: { identical: 1 },
      fields: [{ where: 'metadata', key: 'tokenizer.chat_template', before: 'a', after: 'b' }],
    });
  });

  it('differ in the type of a tensor, under its own name', async () => {
    const { tensors } = await diffOf(written('a.gguf'), written('b.gguf', { type: 24 }));
    expect(tensors).toMatchObject([{ name: 'w', before: { dtype: 'Q8_0' }, after: { dtype: 'I8' } }]);
  });
});
