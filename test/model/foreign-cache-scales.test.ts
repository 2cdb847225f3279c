import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { memoryLayer, openCheckpoint, overlay, writeCheckpoint } from '../../src/checkpoint/index.js';
import { inspectModel, openModel } from '../../src/model/index.js';
import { TINY_LLAMA, tinyModel, writeTinyModel } from '../reference/tiny-model.js';

const BLOCKS = Array.from({ length: TINY_LLAMA.num_hidden_layers }, (_, block) => block);

/** A model as somebody else's tool writes one whose weights stay and whose cache is FP8. */
async function withScales(names: (block: number) => Readonly<Record<string, number>>): Promise<string> {
  const folder = writeTinyModel(tinyModel(TINY_LLAMA, 11));
  const dense = await openCheckpoint(folder);
  const scales = BLOCKS.flatMap((block) => Object.entries(names(block)));
  const added = new Map(
    scales.map(([name, value]) => {
      const info = { name: `model.layers.${name}`, dtype: 'F32', shape: [], byteLength: 4 } as const;
      return [info.name, { info, bytes: new Uint8Array(Float32Array.of(value).buffer) }];
    }),
  );
  const out = mkdtempSync(path.join(tmpdir(), 'birdbone-cache-'));
  await writeCheckpoint(overlay(dense, [memoryLayer(new Map(), new Map(), added)]), out, { carryFrom: folder });
  await dense.close();
  const file = path.join(out, 'config.json');
  const quantization_config = { quant_method: 'compressed-tensors', format: 'dense', config_groups: {} };
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), quantization_config }));
  return out;
}

it.each<[string, (block: number) => Readonly<Record<string, number>>]>([
  ['k_scale', (b) => ({ [`${b}.self_attn.k_scale`]: 2 + b, [`${b}.self_attn.v_scale`]: 0.5 })],
  ['attn.k_scale', (b) => ({ [`${b}.self_attn.attn.k_scale`]: 2 + b, [`${b}.self_attn.attn.v_scale`]: 0.5 })],
  ['k_proj.k_scale', (b) => ({ [`${b}.self_attn.k_proj.k_scale`]: 2 + b, [`${b}.self_attn.v_proj.v_scale`]: 0.5 })],
  [
    'output_scale',
    (b) => ({ [`${b}.self_attn.k_proj.output_scale`]: 2 + b, [`${b}.self_attn.v_proj.output_scale`]: 0.5 }),
  ],
])('a cache of FP8 beside dense weights, as %s, is read, used and told', async (_, names) => {
  const folder = await withScales(names);
  const model = await openModel(folder);
  expect(model.keyValueScales).toEqual(BLOCKS.map((block) => ({ key: 2 + block, value: 0.5 })));
  await model.checkpoint.close();
  const { notices } = await inspectModel(folder, { headersOnly: true });
  expect(notices).toEqual([expect.stringContaining(`Keys and values of ${BLOCKS.length} blocks are rounded to FP8`)]);
});

it('one scale for keys and values is that of both', async () => {
  const model = await openModel(await withScales((block) => ({ [`${block}.self_attn.kv_scale`]: 3 })));
  expect(model.keyValueScales).toEqual(BLOCKS.map(() => ({ key: 3, value: 3 })));
  await model.checkpoint.close();
});

it('two scales for the same keys are refused', async () => {
  const twice = (b: number) => ({ [`${b}.self_attn.kv_scale`]: 3, [`${b}.self_attn.k_scale`]: 2 });
  await expect(openModel(await withScales(twice))).rejects.toMatchObject({
    code: 'unreadable',
    message: expect.stringContaining('another tensor gives its block too'),
  });
});
