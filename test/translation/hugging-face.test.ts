import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Checkpoint, openCheckpoint, readFloats } from '../../src/checkpoint/index.js';
import { evaluateModel } from '../../src/evaluation/index.js';
import { loadTokenizer, openModel } from '../../src/model/index.js';
import { type Device, encodeFromF32, openDevice } from '../../src/tensor/index.js';
import { castView } from '../../src/translation/index.js';
import { logitsOf } from '../model/logits.js';
import { sharedData, sharedMissing, sharedModel } from '../shared.js';

/** Each model as a folder and as a GGUF that somebody else's program wrote. */
const PAIRS = [
  { folder: 'tinystories-656k', gguf: 'tinystories-656k-gguf/tinystories-656k-f16.gguf' },
  { folder: 'novels-5m', gguf: 'novels-5m-gguf/novels-5m-f16.gguf' },
  { folder: 'stories260k', gguf: 'stories260k-gguf/stories260Ktok512.gguf' },
];

describe.skipIf(sharedMissing !== undefined).each(PAIRS)(
  `$gguf seen as a Hugging Face model${sharedMissing === undefined ? '' : ` (${sharedMissing})`}`,
  ({ folder, gguf }) => {
    it('has the tensors of the folder, value for value in its own types', async () => {
      const ours = await openModel(sharedModel(gguf));
      const theirs = await openCheckpoint(sharedModel(folder));
      // tinystories-656k stores its tied matrix as the head.
      const name = (tensor: string) =>
        theirs.tensors.has(tensor) ? tensor : (theirs.aliases.get(tensor) ?? 'model.embed_tokens.weight');
      const { tensors } = ours.checkpoint;
      expect(new Set([...tensors.keys()].map(name))).toEqual(new Set(theirs.tensors.keys()));
      for (const { name: tensor, dtype, shape } of tensors.values()) {
        expect(shape).toEqual(theirs.tensors.get(name(tensor))!.shape);
        expect(dtype).toBe(shape.length === 1 || folder === 'stories260k' ? 'F32' : 'F16');
        const values = await readFloats(theirs, name(tensor));
        expect(Buffer.compare(await ours.checkpoint.read(tensor), encodeFromF32(values, dtype)), tensor).toBe(0);
      }
      await ours.checkpoint.close();
      await theirs.close();
    });

    it('reads any rows of a reordered matrix as they are in the whole', async () => {
      const { checkpoint } = await openModel(sharedModel(gguf));
      const name = 'model.layers.0.self_attn.k_proj.weight';
      const whole = await checkpoint.read(name);
      for (const [offset, length] of [
        [0, 2],
        [128, 700],
        [whole.length - 514, 514],
        [1000, 0],
      ] as const) {
        expect(await checkpoint.read(name, { offset, length })).toEqual(whole.slice(offset, offset + length));
      }
      await expect(checkpoint.read(name, { offset: 1, length: whole.length })).rejects.toThrow(RangeError);
      await expect(checkpoint.read('blk.0.attn_k.weight')).rejects.toMatchObject({ code: 'unreadable' });
      await checkpoint.close();
    });

    it('has the config of the folder, as far as it decides the model', async () => {
      const ours = await openModel(sharedModel(gguf));
      const theirs = await openModel(sharedModel(folder));
      const { blocks, embedding, head, maxContext, ...numbers } = ours.decoder;
      const { blocks: _, embedding: __, head: ___, maxContext: context, ...expected } = theirs.decoder;
      // This one stores the tied head twice, and its metadata say 128 (see the README there).
      const odd = folder === 'stories260k';
      expect(numbers).toEqual({ ...expected, tied: !odd });
      expect(maxContext).toBe(odd ? 128 : context);
      expect([blocks.length, embedding]).toEqual([theirs.decoder.blocks.length, 'model.embed_tokens.weight']);
      expect(head).toBe(odd ? 'lm_head.weight' : embedding);
      await ours.checkpoint.close();
      await theirs.checkpoint.close();
    });

    it('gives the same token ids, and the same text back', async () => {
      const ours = await loadTokenizer(sharedModel(gguf));
      const theirs = await loadTokenizer(sharedModel(folder));
      expect(ours.bosTokenId).toBe(theirs.bosTokenId);
      expect(ours.endOfSequence).toBe(theirs.endOfSequence);
      for (const text of texts(folder)) {
        const ids = theirs.encode(text);
        expect([...ours.encode(text)], JSON.stringify(text.slice(0, 80))).toEqual([...ids]);
        expect(ours.decode(ids)).toBe(theirs.decode(ids));
      }
    });
  },
);

const ODD_TEXTS = [
  '',
  ' ',
  '  a  b ',
  'a\n\nb\r\n\tc',
  "I'll say: DON'T!?",
  '3.14159 and 1,000,000',
  'naïve café — “quoted”',
];
const FOREIGN = [
  'Привет, мир',
  '日本語の文章',
  'नमस्ते',
  '🙂👩‍👩‍👧 emoji',
  'e\u0301 \u00a0\u2003x',
  '\u0000\u0007 control',
];

function texts(folder: string): string[] {
  const file = folder === 'novels-5m' ? sharedData('novels', 'eval.txt') : sharedData('tinystories-1000', 'eval.txt');
  const text = readFileSync(file, 'utf8');
  const pieces = Array.from({ length: 20 }, (_, i) => text.slice(i * 1000, i * 1000 + 400));
  // tinystories-656k looks for its special tokens in the normalized text, which GGUF cannot say.
  const special = folder === 'tinystories-656k' ? [] : ['<s> <|bos|>a</s> <|eos|>'];
  return [...pieces, ...ODD_TEXTS, ...FOREIGN, ODD_TEXTS.join(' '), ...special];
}

describe.skipIf(sharedMissing !== undefined)(`the perplexity of a GGUF (${sharedMissing ?? 'on the CPU'})`, () => {
  // The READMEs beside the files, by llama.cpp: 21.925 on the first 8 stories, 85.6420 on the first 8 windows.
  it.each([
    {
      gguf: PAIRS[0]!.gguf,
      data: 'tinystories-1000/eval.jsonl',
      protocol: 'documents',
      context: 512,
      documented: 21.925,
    },
    { gguf: PAIRS[1]!.gguf, data: 'novels/eval.txt', protocol: 'windows', context: 256, documented: 85.642 },
  ] as const)('$gguf: as documented', async ({ gguf, data, protocol, context, documented }) => {
    const passages = { data: sharedData(data), protocol, context, limit: 8, seed: 0 };
    const { perplexity } = await evaluateModel({ model: sharedModel(gguf), ...passages, device: 'cpu' });
    expect(Math.abs(perplexity / documented - 1)).toBeLessThan(0.0005);
  });
});

describe.skipIf(sharedMissing !== undefined)(`the logits of a GGUF (${sharedMissing ?? 'on the CPU'})`, () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice('cpu');
  });
  afterAll(() => device.close());

  it.each(PAIRS)('$gguf: those of the folder with its matrices cast, bit for bit', async ({ folder, gguf }) => {
    const reference = await openCheckpoint(path.join(sharedModel(folder), 'reference-logits.safetensors'));
    const ids = [new Int32Array(Uint8Array.from(await reference.read('input_ids')).buffer)];
    const expected = await readFloats(reference, 'logits');
    await reference.close();
    const model = await openModel(sharedModel(gguf));
    const [ours] = await logitsOf(model, ids, device);
    await model.checkpoint.close();

    const dense = await openModel(sharedModel(folder));
    const half = folder === 'stories260k' ? 'F32' : 'F16';
    const cast: Checkpoint = castView(dense.checkpoint, ({ shape }) => (shape.length > 1 ? half : 'F32'));
    const [theirs] = await logitsOf({ ...dense, checkpoint: cast }, ids, device);
    await dense.checkpoint.close();
    expect(Buffer.compare(Buffer.from(ours!.buffer), Buffer.from(theirs!.buffer))).toBe(0);
    const difference = expected.reduce((largest, value, i) => Math.max(largest, Math.abs(value - ours![i]!)), 0);
    // The weights are exact in BF16, and nearly all of them in F16: the cast is within the reference's own bound.
    expect(difference).toBeLessThan(1e-4);
  });
});
