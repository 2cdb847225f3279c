import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Checkpoint,
  type GgufValue,
  GgufWriter,
  ggufMetadata,
  openCheckpoint,
  type TensorInfo,
} from '../../src/checkpoint/index.js';
import { MIXES } from '../../src/commands/convert.js';
import { convert } from '../../src/conversion/index.js';
import { mixes, mixOf } from '../../src/ggml/index.js';
import { columnWeights, readImatrix, writeImatrix } from '../../src/imatrix/index.js';
import { loadTokenizer, openModel } from '../../src/model/index.js';
import { openDevice } from '../../src/tensor/index.js';
import { longLivedFolder } from '../fixtures/long-lived-folder.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';
import { llamaMissing, quantizeModels, withLlama } from '../llama/llama.js';
import { logitsOf, negativeLogLikelihood } from '../model/logits.js';
import { sharedData, sharedMissing, sharedModel } from '../shared.js';

const fledgling = fileURLToPath(new URL('../../models/fledgling', import.meta.url));
const ofFledgling = { name: 'fledgling', folder: fledgling, text: path.join(fledgling, 'evaluation.txt') };
const ofShared = (name: string, ...text: string[]) => ({ name, folder: sharedModel(name), text: sharedData(...text) });

/** Widths of 256 and its multiples in the first two, of 64 and 128 in the others. */
const MODELS = [
  { ...ofFledgling, bos: false, missing: undefined },
  { ...ofShared('novels-5m', 'novels', 'eval.txt'), bos: false, missing: sharedMissing },
  { ...ofShared('tinystories-656k', 'tinystories-1000', 'eval.txt'), bos: true, missing: sharedMissing },
  { ...ofShared('stories260k', 'tinystories-1000', 'eval.txt'), bos: true, missing: sharedMissing },
];

const WINDOW = 256;

describe.each(MODELS)('$name in blocks', ({ name, folder, text, bos, missing }) => {
  describe.skipIf(missing !== undefined)(missing ?? 'as convert --dtype writes them', () => {
    const out = longLivedFolder();
    const file = (mix: string) => path.join(out, `${name}-${mix}.gguf`);
    beforeAll(async () => {
      for (const mix of ['q4_k_m', 'q6_k']) await convert({ model: folder, out: file(mix), mix });
    });

    it.skipIf(llamaMissing !== undefined).each(['q4_k_m', 'q6_k'])(
      'as %s: the tensors that llama.cpp itself makes of the F32 model, byte for byte',
      async (mix) => {
        const input = file('f32');
        if (!readdirSync(out).includes(path.basename(input)))
          await convert({ model: folder, out: input, dtype: 'F32' });
        // llama.cpp has no fallback where 32 does not divide a row either and the mix is of blocks of 32: F16 is of ours.
        const output = file(`${mix}-theirs`);
        quantizeModels([{ input, output, ftype: mixOf(mix).fileType, weights: {} }]);
        expect(await contentsOf(file(mix))).toEqual(await contentsOf(output));
        expect((await metadataOf(file(mix))).get('general.file_type')).toEqual(
          (await metadataOf(output)).get('general.file_type'),
        );
      },
    );

    it.skipIf(llamaMissing !== undefined).each(['q4_k_m', 'q6_k'])(
      'as %s: a perplexity in llama.cpp within a hundredth of ours of the same file',
      async (mix) => {
        const tokenizer = await loadTokenizer(folder);
        const ids = tokenizer.encode(readFileSync(text, 'utf8').slice(0, 8000));
        const window = Int32Array.from([...(bos ? [tokenizer.bosTokenId!] : []), ...ids.subarray(0, WINDOW - 1)]);
        const device = await openDevice('cpu');
        const model = await openModel(file(mix));
        const [logits] = await logitsOf(model, [window], device, 1024);
        const { vocabulary } = model.decoder;
        const ours = mean(Array.from(window.subarray(1), (id, t) => negativeLogLikelihood(logits!, t, vocabulary, id)));
        await model.checkpoint.close();
        await device.close();
        await withLlama(file(mix), async (llama) => {
          const theirs = mean(await llama.negativeLogLikelihoods([...window]));
          expect(Math.abs(Math.exp(theirs - ours) - 1)).toBeLessThan(0.01);
        });
      },
    );
  });
});

describe('convert --dtype with a mix', () => {
  it('offers the mixes that there are', () => {
    expect([...MIXES].sort()).toEqual(mixes.map(({ name }) => name.toLowerCase()).sort());
  });

  it('says the mix, what it takes, and nothing else that a dry run does not', async () => {
    const out = path.join(temporaryFolder(), 'model.gguf');
    const plan = await convert({ model: fledgling, out, mix: 'q4_k_m', dryRun: true });
    const done = await convert({ model: fledgling, out, mix: 'q4_k_m' });
    expect(plan).toEqual({ ...done, written: false });
    expect(done).toMatchObject({ mix: 'Q4_K_M', to: 'gguf' });
    const elements = done.tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(done.bitsPerWeight).toBeCloseTo((8 * done.bytes) / elements, 12);
    expect((await metadataOf(out)).get('general.quantization_version')).toEqual({ type: 'u32', value: 2 });
  });

  it('quantizes a GGUF as the folder that it came from', async () => {
    const root = temporaryFolder();
    const [plain, direct, again] = ['plain', 'direct', 'again'].map((name) => path.join(root, `${name}.gguf`)) as [
      string,
      string,
      string,
    ];
    await convert({ model: fledgling, out: plain });
    await convert({ model: fledgling, out: direct, mix: 'q5_k_m' });
    await convert({ model: plain, out: again, mix: 'q5_k_m' });
    expect(await contentsOf(again)).toEqual(await contentsOf(direct));
    expect(Object.fromEntries(await metadataOf(again))).toEqual(Object.fromEntries(await metadataOf(direct)));
  });

  it('keeps blocks that have their type already, and says that others are rounded twice', async () => {
    const root = temporaryFolder();
    const [first, second] = ['first', 'second'].map((name) => path.join(root, `${name}.gguf`)) as [string, string];
    await convert({ model: fledgling, out: first, mix: 'q8_0' });
    const same = await convert({ model: first, out: second, mix: 'q8_0' });
    expect(await contentsOf(second)).toEqual(await contentsOf(first));
    expect(same.lost.join()).not.toContain('rounded');
    const out = path.join(root, 'third.gguf');
    const { lost } = await convert({ model: first, out, mix: 'q4_k_s' });
    expect(lost).toContainEqual(expect.stringMatching(/tensors had been rounded to Q8_0 before/));
  });

  it('refuses a folder as output, and a matrix of importance without blocks', async () => {
    const out = path.join(temporaryFolder(), 'model');
    await expect(convert({ model: fledgling, out, mix: 'q4_k_m' })).rejects.toMatchObject({
      code: 'usage',
      suggestions: [`--out ${out}.gguf`],
    });
    const plain = { model: fledgling, out: `${out}.gguf`, dtype: 'F16', imatrix: 'any.gguf' } as const;
    await expect(convert(plain)).rejects.toMatchObject({ code: 'usage' });
    await expect(convert({ model: fledgling, out: `${out}.gguf`, mix: 'q4_k_x' })).rejects.toMatchObject({
      code: 'usage',
    });
  });

  it('leaves integers, routers and vectors of any GGUF as they are, and wants to know its sizes', async () => {
    const root = temporaryFolder();
    const out = path.join(root, 'out.gguf');
    const f32 = (shape: number[]) => ({ dtype: 'F32', shape }) as const;
    const tensors = {
      'blk.0.ffn_gate.weight': f32([2, 3, 256]),
      'blk.0.ffn_gate_inp.weight': f32([3, 256]),
      'blk.0.attn_norm.weight': f32([256]),
      'blk.0.attn_q.bias': f32([1, 256]),
      'blk.0.routes.weight': { dtype: 'I32', shape: [1, 256] } as const,
    };
    const sizes = { 'odd.block_count': 1, 'odd.attention.head_count': 4 };
    const { tensors: written } = await convert({ model: await writeGguf(root, tensors, sizes), out, mix: 'q5_k_s' });
    expect(Object.fromEntries(written.map(({ name, to }) => [name, to]))).toEqual({
      'blk.0.ffn_gate.weight': 'Q5_K',
      'blk.0.ffn_gate_inp.weight': 'F32',
      'blk.0.attn_norm.weight': 'F32',
      'blk.0.attn_q.bias': 'F32',
      'blk.0.routes.weight': 'I32',
    });
    const model = await writeGguf(root, tensors, {});
    await expect(convert({ model, out: path.join(root, 'other.gguf'), mix: 'q5_k_s' })).rejects.toMatchObject({
      code: 'unsupported',
      file: model,
    });
  });

  it('names the tensor with a value that no block holds, and leaves nothing', async () => {
    const root = temporaryFolder();
    const plain = path.join(root, 'plain.gguf');
    await convert({ model: fledgling, out: plain, dtype: 'F32' });
    const checkpoint = await openCheckpoint(plain);
    const at = checkpoint.starts!.get('blk.1.ffn_up.weight')! + 4 * 1000;
    await checkpoint.close();
    const bytes = readFileSync(plain);
    bytes.writeFloatLE(Number.NaN, at);
    const broken = path.join(root, 'broken.gguf');
    writeFileSync(broken, bytes);
    const before = readdirSync(root);
    const converting = convert({ model: broken, out: path.join(root, 'out.gguf'), mix: 'q4_k_m' });
    await expect(converting).rejects.toMatchObject({ code: 'unsupported', tensor: 'blk.1.ffn_up.weight' });
    expect(readdirSync(root)).toEqual(before);
  });
});

describe('convert --imatrix', () => {
  it.skipIf(llamaMissing !== undefined)('weighs errors as llama.cpp does: its bytes, and what it notes', async () => {
    const root = temporaryFolder();
    const imatrix = path.join(root, 'imatrix.gguf');
    await writeFledglingImatrix(imatrix);
    const [input, output, ours] = ['f32', 'theirs', 'ours'].map((name) => path.join(root, `${name}.gguf`)) as [
      string,
      string,
      string,
    ];
    await convert({ model: fledgling, out: input, dtype: 'F32' });
    for (const mix of ['q4_k_m', 'q3_k_m', 'q2_k', 'q5_1', 'q4_0']) {
      const entries = [...(await readImatrix(imatrix)).entries];
      const weights = Object.fromEntries(entries.map(([name, entry]) => [name, [...columnWeights(entry)]]));
      quantizeModels([{ input, output, ftype: mixOf(mix).fileType, weights }]);
      const { lost } = await convert({ model: fledgling, out: ours, mix, imatrix });
      expect(await contentsOf(ours), mix).toEqual(await contentsOf(output));
      expect(lost).toContainEqual('The importance matrix says nothing of output.weight, token_embd.weight.');
      const metadata = await metadataOf(ours);
      expect(metadata.get('quantize.imatrix.file')).toEqual({ type: 'string', value: 'imatrix.gguf' });
      expect(metadata.get('quantize.imatrix.entries_count')).toEqual({ type: 'u32', value: entries.length });
      rmSync(ours);
    }
  });

  it('refuses one of another model', async () => {
    const root = temporaryFolder();
    const imatrix = path.join(root, 'imatrix.gguf');
    const entry = { columns: 8, sums: new Float32Array(8).fill(1), counts: Float32Array.of(1) };
    const write = (name: string) =>
      writeImatrix(imatrix, { entries: new Map([[name, entry]]), datasets: [], chunks: 1, chunkSize: 8 });
    const converting = () => convert({ model: fledgling, out: path.join(root, 'o.gguf'), mix: 'q4_k_m', imatrix });
    await write('blk.0.attn_q.weight');
    await expect(converting()).rejects.toMatchObject({
      code: 'mismatch',
      tensor: 'blk.0.attn_q.weight',
      file: imatrix,
    });
    await write('elsewhere.weight');
    await expect(converting()).rejects.toMatchObject({ code: 'mismatch', file: imatrix });
  });
});

/** A GGUF of an architecture that nobody knows, with tensors of zeros. */
async function writeGguf(
  folder: string,
  tensors: Readonly<Record<string, Pick<TensorInfo, 'dtype' | 'shape'>>>,
  sizes: Readonly<Record<string, number>>,
): Promise<string> {
  const file = path.join(folder, `input-${Object.keys(sizes).length}.gguf`);
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', { type: 'string', value: 'odd' }],
    ...Object.entries(sizes).map(([key, value]) => [key, { type: 'u32', value }] as const),
  ]);
  const infos = Object.entries(tensors).map(([name, { dtype, shape }]) => {
    return { name, dtype, shape, byteLength: 4 * shape.reduce((product, size) => product * size, 1) };
  });
  const writer = await GgufWriter.create(file, metadata, infos);
  for (const { name, byteLength } of infos) await writer.write(name, 0, new Uint8Array(byteLength));
  await writer.commit();
  return file;
}

/** Of all matrices in the blocks; weights that differ by a factor of a thousand. */
async function writeFledglingImatrix(file: string): Promise<void> {
  const plan = await convert({ model: fledgling, out: `${file}.plan.gguf`, dryRun: true });
  const matrices = plan.tensors.filter(({ name, shape }) => name.startsWith('blk.') && shape.length === 2);
  const entries = new Map(
    matrices.map(({ name, shape }) => {
      const sums = Float32Array.from({ length: shape[1]! }, (_, i) =>
        Math.exp(3.5 * Math.sin(i * 12.9898 + name.length)),
      );
      return [name, { columns: shape[1]!, sums, counts: Float32Array.of(7) }];
    }),
  );
  await writeImatrix(file, { entries, datasets: ['calibration.txt'], chunks: 2, chunkSize: 256 });
}

async function opened<T>(file: string, use: (checkpoint: Checkpoint) => Promise<T>): Promise<T> {
  const checkpoint = await openCheckpoint(file);
  try {
    return await use(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

const metadataOf = (file: string) => opened(file, async (checkpoint) => ggufMetadata(checkpoint)!);

const contentsOf = (file: string) =>
  opened(file, async (checkpoint) => {
    const contents: Record<string, string> = {};
    for (const { name, dtype } of checkpoint.tensors.values()) {
      contents[name] = `${dtype} ${Buffer.from(await checkpoint.read(name)).toString('base64')}`;
    }
    return contents;
  });

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
