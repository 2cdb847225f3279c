import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { writeCheckpoint } from '../../src/checkpoint/index.js';
import { convert } from '../../src/conversion/index.js';
import { layouts } from '../../src/layouts/index.js';
import { diffCheckpoints } from '../../src/manifest/index.js';
import { inspectModel, openComparable, openModel } from '../../src/model/index.js';
import { type Scheme, schemeOf } from '../../src/quantization/index.js';
import { type CodedModel, codedModel } from './coded-model.js';
import { expectBytes } from './expect-bytes.js';

const root = mkdtempSync(path.join(tmpdir(), 'birdbone-layouts-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const SIZES = { hidden_size: 32, num_key_value_heads: 4, intermediate_size: 64, num_hidden_layers: 2 } as const;

interface Written {
  readonly folder: string;
  readonly model: CodedModel;
}

async function writtenModel(layoutName: string, scheme: Scheme): Promise<Written> {
  const model = await codedModel({
    schemeOf: (weight) => (weight.includes('_proj') ? scheme : undefined),
    sizes: SIZES,
  });
  const folder = path.join(root, `${layoutName}-${scheme.type}${scheme.bits}`);
  if (existsSync(folder)) return { folder, model };
  const layout = await layouts.load(layoutName);
  mkdirSync(folder);
  await writeCheckpoint(await layout.write(model.view, model, model.config), folder);
  return { folder, model };
}

const FORMS = [
  ['compressed-tensors', schemeOf('int4', { groupSize: 16, scaleDtype: 'BF16' })],
  ['compressed-tensors', schemeOf('w8a8')],
  ['compressed-tensors', schemeOf('w8a8-fp8')],
  ['gptq', schemeOf('int3', { groupSize: 32, scaleDtype: 'F16' })],
  ['awq', schemeOf('int4', { groupSize: 16, scaleDtype: 'F16' })],
] as const;

describe.each(FORMS)('a folder in the layout %s, %o', (layoutName, scheme) => {
  it('opens as the model that it is, its weights dense', async () => {
    const { folder, model } = await writtenModel(layoutName, scheme);
    const opened = await openModel(folder);
    try {
      expect(opened.decoder).toEqual(model.decoder);
      expect([...opened.checkpoint.tensors.keys()]).toEqual([...model.view.tensors.keys()]);
      for (const { name, dtype } of model.view.tensors.values()) {
        expect(opened.checkpoint.tensors.get(name)!.dtype).toBe(dtype);
        expectBytes(await opened.checkpoint.read(name), await model.view.read(name), name);
      }
    } finally {
      await opened.checkpoint.close();
    }
  });

  it('is inspected with the parameters that it has, and the bits that they take', async () => {
    const { folder, model } = await writtenModel(layoutName, scheme);
    const inspection = await inspectModel(folder);
    const elements = [...model.view.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength / 4, 0);
    expect(inspection.refusal).toBeUndefined();
    expect(inspection.parameters).toBe(elements);
    expect(inspection.bitsPerWeight).toBe((8 * inspection.bytes) / elements);
    expect(inspection.blockSparsity).toHaveLength(2);
    const packed = inspection.tensors.find(({ name }) => /qweight|weight_packed/.test(name));
    if (packed !== undefined) expect(packed).not.toHaveProperty('sparsity');
  });

  it('converts to a dense folder of the same values, which nothing says to be quantized', async () => {
    const { folder, model } = await writtenModel(layoutName, scheme);
    const out = `${folder}-dense`;
    await convert({ model: folder, out });
    const config = JSON.parse(readFileSync(path.join(out, 'config.json'), 'utf8'));
    expect(config).toEqual(model.config);
    expect(existsSync(path.join(out, 'quantize_config.json'))).toBe(false);
    const dense = await openModel(out);
    for (const name of model.view.tensors.keys()) {
      expectBytes(await dense.checkpoint.read(name), await model.view.read(name), name);
    }
    const quantized = await openComparable(folder);
    const { counts } = await diffCheckpoints(quantized, dense.checkpoint);
    expect(counts.identical).toBe(model.view.tensors.size);
    await dense.checkpoint.close();
    await quantized.close();
  });
});
