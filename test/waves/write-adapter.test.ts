import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openCheckpoint, readFloats } from '../../src/checkpoint/index.js';
import { adapterNames, withAdapter } from '../../src/factorizing/index.js';
import { readManifest, verifyFolder } from '../../src/manifest/index.js';
import { type Model, openModel } from '../../src/model/index.js';
import { type AdapterResult, planAdapter, writeAdapter } from '../../src/waves/index.js';
import { at, go, inWorkplaces, recipe } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';
import { plainProduct } from '../solvers/random.js';

inWorkplaces();

const BASE = 'models/fledgling';
const QUANTIZE = { steps: [{ do: 'quantize', scheme: 'int3', groupSize: 16 }], output: { format: 'native' } };

const optionsFor = (change: { rank?: number; base?: string; out?: string } = {}) => ({
  recipe: recipe({
    model: at('out/half'),
    out: at(change.out ?? 'out/adapter'),
    steps: [{ do: 'factorize', rank: 4 }],
  }),
  base: change.base ?? at(BASE),
  rank: change.rank ?? 4,
  device: 'cpu' as const,
});

const linearsOf = ({ decoder }: Model) => decoder.blocks.flatMap(({ linears }) => linears);

const squares = (list: ArrayLike<number>) => Array.from(list).reduce((sum, value) => sum + value * value, 0);

/** The manifest is of these tensors, and says what they were made from and what they came to. */
async function expectManifest({ base, corrected, compressed, manifest: file }: AdapterResult): Promise<void> {
  expect(file).toBe(at('out/adapter/birdbone.json'));
  expect((await verifyFolder(at('out/adapter'))).matches).toBe(true);
  const { manifest } = await readManifest(at('out/adapter'));
  const { manifest: ofBase, sha256 } = await readManifest(at('out/half'));
  expect(manifest.base).toEqual({
    name: 'half',
    weights: ofBase.weights,
    metadata: ofBase.metadata,
    manifest: sha256,
  });
  expect(manifest.recipe).toMatchObject({ reference: 'fledgling', steps: [{ do: 'factorize', rank: 4 }] });
  expect(manifest.measured).toMatchObject({ baseline: base, result: { ...corrected, compressedKl: compressed.kl } });
  expect(JSON.stringify(manifest)).not.toContain(at(''));
}

describe('an adapter for a quantized model', () => {
  it('holds B and A of each linear under the names that PEFT reads, and brings the model nearer to its base', async () => {
    await go(QUANTIZE);
    const result = await writeAdapter(optionsFor());
    expect(result.corrected.kl!).toBeLessThan(0.9 * result.compressed.kl!);
    expect(readdirSync(at('out/adapter')).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
      'birdbone.json',
    ]);
    await expectManifest(result);
    const config = JSON.parse(readFileSync(at('out/adapter/adapter_config.json'), 'utf8')) as Record<string, unknown>;
    expect(config).toMatchObject({ peft_type: 'LORA', r: 4, lora_alpha: 4, bias: 'none', rank_pattern: {} });
    expect(config['target_modules']).toEqual([
      'down_proj',
      'gate_proj',
      'k_proj',
      'o_proj',
      'q_proj',
      'up_proj',
      'v_proj',
    ]);

    const [adapter, quantized, base] = [
      await openCheckpoint(at('out/adapter/adapter_model.safetensors')),
      await openModel(at('out/half')),
      await openModel(at(BASE)),
    ];
    const K = 'base_model.model.model.layers.1.self_attn.k_proj.lora_A.weight';
    expect(adapter.tensors.get(K)).toMatchObject({ shape: [4, 32] });
    expect(adapter.tensors.size).toBe(2 * linearsOf(base).length);
    const corrected = await withAdapter(quantized, adapter);
    for (const { weight, rows, columns } of linearsOf(base)) {
      const names = adapterNames(weight);
      // What PEFT computes: W + (lora_alpha / r) B A.
      const [b, a] = [await readFloats(adapter, names.left), await readFloats(adapter, names.right)];
      const product = plainProduct(b, a, { rows, inner: 4, columns });
      const codes = await readFloats(quantized.checkpoint, weight);
      const expected = codes.map((value, i) => value + product[i]!);
      const found = await readFloats(corrected.checkpoint, weight);
      expect(squares(found.map((value, i) => value - expected[i]!)), weight).toBeLessThan(1e-10 * squares(expected));
      const dense = await readFloats(base.checkpoint, weight);
      expect(squares(found.map((value, i) => value - dense[i]!))).toBeLessThan(
        squares(codes.map((value, i) => value - dense[i]!)),
      );
    }
    for (const each of [adapter, quantized.checkpoint, base.checkpoint]) await each.close();
  });

  it('of full rank gives back the base, and of small matrices names their own rank', async () => {
    await go(QUANTIZE);
    const { corrected, compressed, base } = await writeAdapter(optionsFor({ rank: 32 }));
    expect(corrected.kl!).toBeLessThan(1e-3 * compressed.kl!);
    expect(corrected.perplexity / base.perplexity).toBeCloseTo(1, 3);
    const config = JSON.parse(readFileSync(at('out/adapter/adapter_config.json'), 'utf8')) as Record<string, unknown>;
    // k and v have 16 outputs.
    const small = Object.fromEntries(
      [0, 1].flatMap((block) => ['k', 'v'].map((role) => [`model.layers.${block}.self_attn.${role}_proj`, 16])),
    );
    expect(config).toMatchObject({ r: 32, rank_pattern: small, alpha_pattern: small });
  });

  it('is planned without being written, and is the same when it is made again', async () => {
    await go(QUANTIZE);
    const before = contentsOf(at('out'));
    const { bytes } = await planAdapter(optionsFor());
    expect(contentsOf(at('out'))).toEqual(before);
    expect((await writeAdapter(optionsFor())).bytes).toBe(bytes);
    await writeAdapter(optionsFor({ out: 'out/again' }));
    expect(contentsOf(at('out/again'))).toEqual(contentsOf(at('out/adapter')));
  });

  it('is refused over something that is there, for another base, and where there is nothing to correct', async () => {
    await go({ ...QUANTIZE, steps: [{ do: 'prune', sparsity: 0.2, plates: 'ffn', waves: 1 }] });
    await expect(writeAdapter(optionsFor())).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(/mlp\.\w+_proj\.weight is \[.*; the base .* has one of \[/),
    });
    const same = { ...optionsFor(), base: at('out/half') };
    await expect(writeAdapter(same)).rejects.toMatchObject({
      code: 'gate-failed',
      message: expect.stringMatching(/no nearer to the base/),
    });
    expect(existsSync(at('out/adapter'))).toBe(false);
    await expect(
      writeAdapter({ ...same, recipe: recipe({ model: at('out/half'), out: at(BASE) }) }),
    ).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(/exists already/),
    });
  });
});
