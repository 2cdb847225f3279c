import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Checkpoint, ggufMetadata, openCheckpoint } from '../../src/checkpoint/index.js';
import { type Conversion, convert } from '../../src/conversion/index.js';
import { loadTokenizer, openModel } from '../../src/model/index.js';
import { decodeToF32 } from '../../src/tensor/index.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';
import { sharedMissing, sharedModel } from '../shared.js';

const fledgling = fileURLToPath(new URL('../../models/fledgling', import.meta.url));

async function opened<T>(model: string, use: (checkpoint: Checkpoint) => Promise<T>): Promise<T> {
  const checkpoint = await openCheckpoint(model);
  try {
    return await use(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

/** Every tensor's type, shape and bytes. */
const contentsOf = (model: string) =>
  opened(model, async (checkpoint) => {
    const contents: Record<string, unknown> = {};
    for (const { name, dtype, shape } of checkpoint.tensors.values()) {
      contents[name] = { dtype, shape, bytes: Buffer.from(await checkpoint.read(name)).toString('base64') };
    }
    return contents;
  });

const valuesOf = (model: string, name: string) =>
  opened(model, async (checkpoint) => {
    const info = checkpoint.tensors.get(checkpoint.aliases.get(name) ?? name)!;
    return [...decodeToF32(await checkpoint.read(name), info.dtype)];
  });

describe('convert', () => {
  it('takes a folder to GGUF and back: the same tensors, config and tokenizer', async () => {
    const root = temporaryFolder();
    const gguf = path.join(root, 'a', 'fledgling.gguf');
    const there = await convert({ model: fledgling, out: gguf });
    expect(there).toMatchObject({ written: true, from: 'safetensors', to: 'gguf' });
    expect(there.tokenizer).toMatchObject({ differing: 0 });
    const back = path.join(root, 'back');
    await convert({ model: gguf, out: back, dtype: 'BF16' });
    expect(await contentsOf(back)).toEqual(await contentsOf(fledgling));

    const [before, after] = [await openModel(fledgling), await openModel(back)];
    expect(after.decoder).toEqual(before.decoder);
    await before.checkpoint.close();
    await after.checkpoint.close();
    const [first, second] = [await loadTokenizer(fledgling), await loadTokenizer(back)];
    const text = readFileSync(path.join(fledgling, 'evaluation.txt'), 'utf8').slice(0, 5000);
    expect([...second.encode(text)]).toEqual([...first.encode(text)]);
    expect(second.endOfSequence).toBe(first.endOfSequence);
  });

  it('takes a GGUF to a folder and back, byte for byte in every tensor', async () => {
    const root = temporaryFolder();
    const first = path.join(root, 'first.gguf');
    await convert({ model: fledgling, out: first, dtype: 'F16' });
    await convert({ model: first, out: path.join(root, 'fledgling') });
    const second = path.join(root, 'second.gguf');
    await convert({ model: path.join(root, 'fledgling'), out: second });
    expect(await contentsOf(second)).toEqual(await contentsOf(first));
    expect(await metadataOf(second)).toEqual(await metadataOf(first));
  });

  it('makes the same bytes from the same model', async () => {
    const root = temporaryFolder();
    const files = ['one.gguf', 'two.gguf'].map((name) => path.join(root, name));
    for (const out of files) await convert({ model: fledgling, out, dtype: 'F16' });
    const [one, two] = files.map((file) => readFileSync(file));
    expect(Buffer.compare(one!, two!)).toBe(0);
  });

  it('writes a GGUF again as it is, or dequantized and cast', async () => {
    const root = temporaryFolder();
    const first = path.join(root, 'first.gguf');
    await convert({ model: fledgling, out: first });
    const copy = path.join(root, 'copy.gguf');
    await convert({ model: first, out: copy });
    expect(Buffer.compare(readFileSync(copy), readFileSync(first))).toBe(0);
    const cast = path.join(root, 'cast.gguf');
    await convert({ model: first, out: cast, dtype: 'F32' });
    expect(await valuesOf(cast, 'blk.0.attn_q.weight')).toEqual(await valuesOf(first, 'blk.0.attn_q.weight'));
    expect((await metadataOf(cast)).get('general.file_type')).toEqual({ type: 'u32', value: 0 });
  });

  it('sets torch_dtype to what the weights are, and changes no other byte of config.json', async () => {
    const out = path.join(temporaryFolder(), 'half');
    await convert({ model: fledgling, out, dtype: 'F16' });
    const before = readFileSync(path.join(fledgling, 'config.json'), 'utf8');
    expect(readFileSync(path.join(out, 'config.json'), 'utf8')).toBe(before.replace('"bfloat16"', '"float16"'));
    expect(existsSync(path.join(out, 'tokenizer.json'))).toBe(true);
  });

  it('leaves the type of a part of the model that has one of its own', async () => {
    const model = path.join(temporaryFolder(), 'model');
    cpSync(fledgling, model, { recursive: true });
    const config = JSON.parse(readFileSync(path.join(fledgling, 'config.json'), 'utf8')) as object;
    writeFileSync(path.join(model, 'config.json'), JSON.stringify({ part: { torch_dtype: 'float32' }, ...config }));
    const out = path.join(temporaryFolder(), 'half');
    await convert({ model, out, dtype: 'F16' });
    const written = JSON.parse(readFileSync(path.join(out, 'config.json'), 'utf8')) as object;
    expect(written).toMatchObject({ part: { torch_dtype: 'float32' }, torch_dtype: 'float16' });
  });

  it('says what it would do, and does nothing, on a dry run', async () => {
    const root = temporaryFolder();
    const out = path.join(root, 'deep', 'model.gguf');
    const plan = await convert({ model: fledgling, out, dtype: 'F16', dryRun: true });
    expect(readdirSync(root)).toEqual([]);
    const done = await convert({ model: fledgling, out, dtype: 'F16' });
    expect(plan).toEqual({ ...withoutCast(done), written: false });
    expect(done.bytes).toBe(done.tensors.reduce((sum, { bytes }) => sum + bytes, 0));
  });

  it.each(['model.gguf', 'model'])('replaces no %s that is there', async (name) => {
    const out = path.join(temporaryFolder(), name);
    writeFileSync(out, 'mine');
    await expect(convert({ model: fledgling, out })).rejects.toMatchObject({ code: 'usage', file: out });
    expect(readFileSync(out, 'utf8')).toBe('mine');
  });

  it.each(['model.safetensors', 'model.bin', 'a.pt'])('refuses to write %s, with what to write', async (name) => {
    const converting = convert({ model: fledgling, out: path.join(temporaryFolder(), name) });
    await expect(converting).rejects.toMatchObject({ code: 'usage' });
  });

  it.each(['out.gguf', 'out'])(
    'leaves nothing of %s, nor of the folders above it, when it is interrupted',
    async (name) => {
      const root = temporaryFolder();
      const stopping = new AbortController();
      let reports = 0;
      const converting = convert({
        model: fledgling,
        out: path.join(root, 'a', 'b', name),
        signal: stopping.signal,
        report: ({ type }) => {
          if (type === 'progress' && ++reports === 3) stopping.abort();
        },
      });
      await expect(converting).rejects.toMatchObject({ code: 'interrupted' });
      expect(readdirSync(root)).toEqual([]);
    },
  );

  it('refuses to write a GGUF of a model that nobody has described, and writes its tensors as they are', async () => {
    const root = temporaryFolder();
    const model = path.join(root, 'unknown');
    mkdirSync(model);
    writeFileSync(path.join(model, 'model.safetensors'), readFileSync(path.join(fledgling, 'model.safetensors')));
    const refused = convert({ model, out: path.join(root, 'x.gguf') });
    await expect(refused).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('config.json'),
    });
    writeFileSync(path.join(model, 'config.json'), JSON.stringify({ model_type: 'mamba' }));
    await expect(convert({ model, out: path.join(root, 'x.gguf') })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('mamba'),
      suggestions: [expect.stringContaining('safetensors')],
    });
    await convert({ model, out: path.join(root, 'plain') });
    expect(await contentsOf(path.join(root, 'plain'))).toEqual(await contentsOf(model));
  });

  it('tells what a GGUF has no place for', async () => {
    const { lost } = await convert({ model: fledgling, out: path.join(temporaryFolder(), 'x.gguf'), dryRun: true });
    expect(lost.join('\n')).toMatch(/config\.json .*initializer_range 0\.02/);
    expect(lost.join('\n')).toMatch(/Files .*LICENSE.*README\.md/);
  });
});

const metadataOf = (model: string) => opened(model, async (checkpoint) => ggufMetadata(checkpoint)!);

function withoutCast({ cast: _, ...conversion }: Conversion): Omit<Conversion, 'cast'> {
  return conversion;
}

describe.skipIf(sharedMissing !== undefined)(`convert of real checkpoints (${sharedMissing ?? 'all here'})`, () => {
  it.each([
    'tinystories-656k-gguf/tinystories-656k-f16.gguf',
    'novels-5m-gguf/novels-5m-f16.gguf',
    'stories260k-gguf/stories260Ktok512.gguf',
  ])('takes %s to a folder and back, byte for byte in every tensor', async (name) => {
    const root = temporaryFolder();
    await convert({ model: sharedModel(name), out: path.join(root, 'folder') });
    await convert({ model: path.join(root, 'folder'), out: path.join(root, 'again.gguf') });
    expect(await contentsOf(path.join(root, 'again.gguf'))).toEqual(await contentsOf(sharedModel(name)));
  });

  it('reads what torch saved: the same GGUF as from the folder, tied tensors as aliases', async () => {
    const root = temporaryFolder();
    await convert({ model: sharedModel('tinystories-656k-pt'), out: path.join(root, 'tinystories-656k.gguf') });
    await convert({ model: sharedModel('tinystories-656k'), out: path.join(root, 'b.gguf') });
    expect(await contentsOf(path.join(root, 'tinystories-656k.gguf'))).toEqual(
      await contentsOf(path.join(root, 'b.gguf')),
    );
    await convert({ model: sharedModel('tinystories-656k-pt'), out: path.join(root, 'folder') });
    await opened(path.join(root, 'folder'), async ({ tensors, aliases }) => {
      expect(tensors.size).toBe(20);
      expect(aliases.size).toBe(1);
    });
    const model = await openModel(path.join(root, 'folder'));
    expect(model.decoder.tied).toBe(true);
    await model.checkpoint.close();
  });

  it.each(['retsim', 'resnet20-cifar10/resnet20-12fca82f.th'])('writes the tensors of %s as they are', async (name) => {
    const out = path.join(temporaryFolder(), 'plain');
    await convert({ model: sharedModel(name), out });
    expect(await contentsOf(out)).toEqual(await contentsOf(sharedModel(name)));
    const gguf = convert({ model: sharedModel(name), out: path.join(temporaryFolder(), 'x.gguf') });
    await expect(gguf).rejects.toMatchObject({ code: 'unsupported' });
  });

  it('counts every value that a cast changes', async () => {
    const out = path.join(temporaryFolder(), 'half');
    const { cast } = await convert({ model: sharedModel('retsim'), out, dtype: 'F16' });
    let changed = 0;
    let zeroed = 0;
    await opened(sharedModel('retsim'), async (before) => {
      for (const { name } of before.tensors.values()) {
        const [from, to] = [await valuesOf(sharedModel('retsim'), name), await valuesOf(out, name)];
        from.forEach((value, i) => {
          if (value !== to[i]) changed++;
          if (value !== 0 && to[i] === 0) zeroed++;
        });
      }
    });
    expect(cast!.total).toMatchObject({ elements: 535_811, changed, zeroed, saturated: 0, nan: 0, infinite: 0 });
    expect(zeroed).toBeGreaterThan(0);
  });
});
