import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ggufMetadata, openCheckpoint } from '../../src/checkpoint/index.js';
import { convert } from '../../src/conversion/index.js';
import { licenseOfCard } from '../../src/translation/index.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';
import { text, tinyMetadata, tinyTensors, writeGgufFile } from './gguf-file.js';

const fledgling = fileURLToPath(new URL('../../models/fledgling', import.meta.url));

describe('licenseOfCard', () => {
  it.each([
    ['---\nlicense: apache-2.0\n---\n# A', 'apache-2.0'],
    ['---\nlanguage: en\nlicense: "mit"\ntags:\n- x\n---\n', 'mit'],
    ["---\r\nlicense: 'cc-by-4.0' \r\n---\r\n", 'cc-by-4.0'],
    ['# A\nlicense: mit\n', undefined],
    ['---\ntitle: x\n---\nlicense: mit\n', undefined],
    ['---\nlicense: see the file LICENSE\n---\n', undefined],
  ])('reads %j', (card, license) => {
    expect(licenseOfCard(card)).toBe(license);
  });
});

it('a licence goes from the model card into a GGUF and back', async () => {
  const root = temporaryFolder();
  const model = path.join(root, 'model');
  await convert({ model: fledgling, out: model });
  writeFileSync(path.join(model, 'README.md'), '---\nlicense: apache-2.0\n---\n# Fledgling\n');
  const gguf = path.join(root, 'model.gguf');
  await convert({ model, out: gguf });
  const checkpoint = await openCheckpoint(gguf);
  expect(ggufMetadata(checkpoint)!.get('general.license')).toEqual(text('apache-2.0'));
  await checkpoint.close();
  const { lost } = await convert({ model: gguf, out: path.join(root, 'back') });
  expect(readFileSync(path.join(root, 'back', 'README.md'), 'utf8')).toBe('---\nlicense: apache-2.0\n---\n');
  expect(lost.join()).not.toContain('general.license');
});

it('a licence that is a whole text makes no card, and is told of', async () => {
  const metadata = { ...tinyMetadata(), 'general.license': text('Do\nwhat: you want'), 'general.author': text('A') };
  const model = await writeGgufFile(temporaryFolder(), metadata, tinyTensors());
  const { lost } = await convert({ model, out: path.join(temporaryFolder(), 'x'), dryRun: true });
  expect(lost.join()).toContain('general.license, general.author');
});
