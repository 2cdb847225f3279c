import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Event } from '../../src/events.js';
import { inspectModel } from '../../src/model/index.js';
import { TINY_LLAMA, type TinyConfig, tinyModel, writeTinyModel } from '../reference/tiny-model.js';
import { sharedMissing, sharedModel } from '../shared.js';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function written(model: ReturnType<typeof tinyModel>, metadata?: Record<string, string>): string {
  const folder = writeTinyModel(model, undefined, metadata);
  folders.push(folder);
  return folder;
}

/** Puts zeros into the first `count` weights of a tensor. */
function zeroOut(model: ReturnType<typeof tinyModel>, name: string, count: number): void {
  (model.tensors.get(name)!.values as Float32Array).fill(0, 0, count);
}

describe('inspectModel', () => {
  it('counts zeros of every tensor, of each block, and of the whole', async () => {
    const model = tinyModel(TINY_LLAMA);
    zeroOut(model, 'model.layers.0.self_attn.q_proj.weight', 256);
    zeroOut(model, 'model.layers.1.mlp.down_proj.weight', 100);
    zeroOut(model, 'model.embed_tokens.weight', 32);
    const inspection = await inspectModel(written(model));

    const elements = [...model.tensors.values()].map(({ values }) => values.length);
    const total = elements.reduce((sum, count) => sum + count, 0);
    expect(inspection.parameters).toBe(total);
    expect(inspection.bytes).toBe(4 * total);
    expect(inspection.bitsPerWeight).toBe(32);
    expect(inspection.sparsity).toBeCloseTo((256 + 100 + 32) / total, 15);
    // q and o 32 × 32, k and v 16 × 32, gate, up and down 44 × 32.
    const blockElements = 2 * 32 * 32 + 2 * 16 * 32 + 3 * 44 * 32;
    expect(inspection.blockSparsity).toEqual([256 / blockElements, 100 / blockElements]);
    const query = inspection.tensors.find(({ name }) => name === 'model.layers.0.self_attn.q_proj.weight');
    expect(query).toEqual({ name: query?.name, dtype: 'F32', shape: [32, 32], bytes: 4096, sparsity: 0.25 });
    expect(inspection.dtypes).toEqual({ F32: { tensors: elements.length, parameters: total, bytes: 4 * total } });
  });

  it('reads no weights with headersOnly', async () => {
    const events: Event[] = [];
    const inspection = await inspectModel(written(tinyModel(TINY_LLAMA)), {
      headersOnly: true,
      report: (event) => events.push(event),
    });
    expect(events).toEqual([]);
    expect(inspection).not.toHaveProperty('sparsity');
    expect(inspection.tensors[0]).not.toHaveProperty('sparsity');
    expect(inspection.architecture).toMatchObject({ architecture: 'llama', blocks: 2, hidden: 32 });
  });

  it('names what is tied, by config and by the file', async () => {
    const tied: TinyConfig = { ...TINY_LLAMA, tie_word_embeddings: true };
    const byConfig = await inspectModel(written(tinyModel(tied)));
    expect(byConfig.tied).toEqual({ 'lm_head.weight': 'model.embed_tokens.weight' });
    const alias = { 'lm_head.weight': 'model.embed_tokens.weight' };
    const byFile = await inspectModel(written(tinyModel(tied), { format: 'pt', ...alias }));
    expect(byFile.tied).toEqual(alias);
  });

  it('shows a checkpoint whose architecture it does not know, and says why', async () => {
    const folder = written(tinyModel(TINY_LLAMA));
    writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ ...TINY_LLAMA, model_type: 'mamba' }));
    const inspection = await inspectModel(folder);
    expect(inspection.architecture).toBeUndefined();
    expect(inspection.refusal).toMatch(/"mamba" model\. Supported: .*llama/);
    expect(inspection.sparsity).toBe(0);
    expect(inspection.blockSparsity).toBeUndefined();
  });

  it('stops when asked to', async () => {
    await expect(inspectModel(written(tinyModel(TINY_LLAMA)), { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'interrupted',
    });
  });
});

describe.skipIf(sharedMissing)(`a GGUF${sharedMissing ? ` (${sharedMissing})` : ''}`, () => {
  it('has its own names and types, and the architecture that it says', async () => {
    const inspection = await inspectModel(path.join(sharedModel('tinystories-656k-gguf'), 'tinystories-656k-f16.gguf'));
    expect(inspection).toMatchObject({
      format: 'gguf',
      architecture: { architecture: 'llama', blocks: 2, hidden: 128 },
      tied: { 'lm_head.weight': 'token_embd.weight' },
      blockSparsity: [expect.any(Number), expect.any(Number)],
    });
    expect(inspection.bitsPerWeight).toBeCloseTo(16, 1);
    const query = inspection.tensors.find(({ name }) => name === 'blk.0.attn_q.weight');
    expect(query).toMatchObject({ dtype: 'F16', shape: [128, 128], bytes: 32_768 });
  });
});
