import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { chunksOf, openCheckpoint } from '../../../src/checkpoint/index.js';
import { sharedMissing, sharedModel } from '../../shared.js';

/** Written by torch 1.13.1 (test/fixtures/torch/make.py), which also computed what is expected of them. */
const FOLDER = fileURLToPath(new URL('../../fixtures/torch', import.meta.url));
const EXPECTED = JSON.parse(readFileSync(path.join(FOLDER, 'expected.json'), 'utf8')) as Record<
  string,
  Record<string, { dtype: string; shape: number[]; sha256: string }>
>;
const READ = readdirSync(FOLDER).filter((name) => /\.(?:pt|pth|ckpt)$/.test(name) && !name.startsWith('refused-'));
const PROTOCOLS = READ.filter((name) => name.includes('-protocol-'));

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe.each(READ)('%s', (name) => {
  const expected = EXPECTED[name] ?? EXPECTED['protocols']!;

  it('has the tensors that torch saved, bit for bit', async () => {
    const checkpoint = await openCheckpoint(path.join(FOLDER, name));
    const found = new Map<string, unknown>();
    for (const tensor of [...checkpoint.tensors.keys(), ...checkpoint.aliases.keys()]) {
      const { dtype, shape } = checkpoint.tensors.get(checkpoint.aliases.get(tensor) ?? tensor)!;
      found.set(tensor, { dtype, shape, sha256: sha256(await checkpoint.read(tensor)) });
    }
    expect(Object.fromEntries(found)).toEqual(expected);
    await checkpoint.close();
  });

  it('gives the same bytes in every range', async () => {
    const checkpoint = await openCheckpoint(path.join(FOLDER, name));
    for (const { name: tensor, byteLength } of checkpoint.tensors.values()) {
      const whole = await checkpoint.read(tensor);
      for (let offset = 0; offset < byteLength; offset += 1 + Math.floor(byteLength / 7)) {
        for (const length of [0, 1, 5, Math.floor(byteLength / 2), byteLength - offset]) {
          if (offset + length > byteLength) continue;
          const part = Buffer.from(await checkpoint.read(tensor, { offset, length }));
          expect(part.equals(whole.subarray(offset, offset + length))).toBe(true);
        }
      }
      const chunks: Uint8Array[] = [];
      for await (const chunk of chunksOf(checkpoint, tensor, 24)) chunks.push(chunk);
      expect(Buffer.concat(chunks).equals(whole)).toBe(true);
    }
    await checkpoint.close();
  });
});

it.each(PROTOCOLS)(
  '%s: takes tied weights as one, views as tensors of their own, and the rest as texts',
  async (name) => {
    const checkpoint = await openCheckpoint(path.join(FOLDER, name));
    expect([...checkpoint.aliases]).toEqual([['head.weight', 'embed.weight']]);
    expect(checkpoint.metadata).toEqual({
      epoch: '3',
      best: '0.5',
      name: 'täst',
      done: 'true',
      large: String(2n ** 70n),
      format: 'pt',
      'steps.0': '1',
      'steps.1.0': '2',
      'head.weight': 'embed.weight',
    });
    await checkpoint.close();
  },
);

it.each([
  ['module', 'torch.nn.modules.linear.Linear, a whole module saved with its code'],
  ['namespace', 'argparse.Namespace, the options of the training run'],
  ['numpy-number', 'numpy.core.multiarray.scalar, an array or number of numpy'],
  ['quantized', 'torch._utils._rebuild_qtensor, a tensor quantized by torch'],
  ['sparse', 'torch._utils._rebuild_sparse_tensor, a sparse tensor'],
  ['complex128', 'torch.ComplexDoubleStorage, a type whose values'],
  ['torchscript', 'a TorchScript archive, which has code in it ("refused-torchscript/code/'],
])('refuses refused-%s.pt by name', async (kind, says) => {
  const file = path.join(FOLDER, `refused-${kind}.pt`);
  await expect(openCheckpoint(file)).rejects.toMatchObject({
    code: 'unsupported',
    file,
    message: expect.stringContaining(says),
  });
});

describe.skipIf(sharedMissing !== undefined)(`the shared models${sharedMissing ? ` (${sharedMissing})` : ''}`, () => {
  it('reads pytorch_model.bin as the safetensors file of the same weights, tie included', async () => {
    const torch = await openCheckpoint(sharedModel('tinystories-656k-pt'));
    const safetensors = await openCheckpoint(sharedModel('tinystories-656k'));
    expect(torch.tensors).toEqual(safetensors.tensors);
    expect(torch.aliases).toEqual(safetensors.aliases);
    expect(torch.metadata).toEqual(safetensors.metadata);
    for (const name of torch.tensors.keys()) {
      expect(Buffer.from(await torch.read(name)).equals(await safetensors.read(name)), name).toBe(true);
    }
    await Promise.all([torch.close(), safetensors.close()]);
  });

  it('reads a legacy file that was saved on a GPU', async () => {
    const checkpoint = await openCheckpoint(path.join(sharedModel('resnet20-cifar10'), 'resnet20-12fca82f.th'));
    expect(checkpoint.metadata).toEqual({ best_prec1: '91.78000183105469', format: 'pt' });
    expect(checkpoint.tensors.size).toBe(97);
    expect(checkpoint.tensors.get('module.conv1.weight')).toMatchObject({ dtype: 'F32', shape: [16, 3, 3, 3] });
    expect(sha256(await checkpoint.read('module.conv1.weight'))).toBe(CONV1_SHA256);
    await checkpoint.close();
  });
});

/** Computed by torch: sha256 of state_dict['module.conv1.weight'].cpu().numpy().tobytes(). */
const CONV1_SHA256 = 'dd58fff310126506139692df49419cb3e897fa12836cb17f2141722107b42d6f';
