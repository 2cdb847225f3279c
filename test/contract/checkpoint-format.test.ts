import {
  closeSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type Checkpoint,
  formats,
  type GgufMetadata,
  type GgufValue,
  GgufWriter,
  openCheckpoint,
  writeCheckpoint,
} from '../../src/checkpoint/index.js';
import { BirdboneError } from '../../src/errors.js';
import { entry, ggufBytes } from '../fixtures/gguf-file.js';
import { f32, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';
import { dict, pickle, storage, tensor, text } from '../fixtures/pickle-assembler.js';
import { patterned, temporaryFolder } from '../fixtures/safetensors-file.js';
import { torchCheckpoint, torchMembers, writeZip } from '../fixtures/torch-file.js';
import { layOutZip } from '../fixtures/zip-file.js';

/** Files of one format, made for the tests that every format has to pass. */
interface FormatFixture {
  /** Writes a checkpoint into an empty folder and returns the file to open. */
  readonly write: (source: Checkpoint, folder: string) => Promise<string>;
  /** Makes a sparse checkpoint whose tensor "far", of the given bytes, starts beyond `offset`; returns the file to open. */
  readonly writeFar: (folder: string, offset: number, bytes: Uint8Array) => string;
  /** What its files say beside the tensors, where the format has no `__metadata__` of texts. */
  readonly texts?: { readonly metadata: Readonly<Record<string, string>>; readonly aliases: readonly string[] };
  /** How its files start, where they have a mark. */
  readonly magic?: RegExp;
  /** Bytes at the end of a file that may be cut off: white space, padding. */
  readonly spare?: (whole: Buffer) => number;
}

/** In the order of `formats`, which has two formats twice: by their file, and by the index over several. */
const FIXTURES: readonly [string, FormatFixture][] = [
  [
    'safetensors shards',
    {
      async write(source, folder) {
        await writeCheckpoint(source, folder, { maxShardBytes: 64 });
        return path.join(folder, 'model.safetensors.index.json');
      },
      writeFar(folder, offset, bytes) {
        sparseSafetensors(path.join(folder, 'far.safetensors'), offset, bytes);
        const index = path.join(folder, 'model.safetensors.index.json');
        writeFileSync(index, '{"weight_map":{"far":"far.safetensors","hole":"far.safetensors"}}');
        return index;
      },
      spare: (whole) => whole.length - whole.toString('latin1').trimEnd().length,
    },
  ],
  [
    'gguf',
    {
      async write(source, folder) {
        const file = path.join(folder, 'model.gguf');
        const infos = [...source.tensors.values()];
        const writer = await GgufWriter.create(file, GGUF_METADATA, infos);
        for (const { name } of infos) await writer.write(name, 0, await source.read(name));
        await writer.commit();
        return file;
      },
      writeFar(folder, offset, bytes) {
        const file = path.join(folder, 'model.gguf');
        sparseGguf(file, offset, bytes);
        return file;
      },
      texts: {
        metadata: {
          'general.architecture': 'llama',
          'llama.block_count': 'u32:2',
          'tokenizer.ggml.scores': 'f32[2]:0.1,-0',
        },
        aliases: [],
      },
      magic: /^GGUF/,
      // The last tensor, "scalar", takes 4 bytes of the 32 that are written.
      spare: () => 28,
    },
  ],
  [
    'safetensors',
    {
      async write(source, folder) {
        await writeCheckpoint(source, folder);
        return path.join(folder, 'model.safetensors');
      },
      writeFar(folder, offset, bytes) {
        const file = path.join(folder, 'model.safetensors');
        sparseSafetensors(file, offset, bytes);
        return file;
      },
    },
  ],
  [
    'torch shards',
    {
      async write(source, folder) {
        const weightMap: Record<string, string> = {};
        for (const [i, names] of [['lm_head.weight'], ['empty', 'ids', 'model.norm.weight', 'scalar']].entries()) {
          const file = `pytorch_model-0000${i + 1}-of-00002.bin`;
          for (const name of names) weightMap[name] = file;
          if (i === 0) weightMap['model.embed_tokens.weight'] = file;
          writeFileSync(path.join(folder, file), await torchCheckpoint(part(source, names)));
        }
        const index = path.join(folder, 'pytorch_model.bin.index.json');
        writeFileSync(index, JSON.stringify({ metadata: {}, weight_map: weightMap }));
        return index;
      },
      writeFar(folder, offset, bytes) {
        sparseTorch(path.join(folder, 'far.bin'), offset, bytes);
        const index = path.join(folder, 'pytorch_model.bin.index.json');
        writeFileSync(index, '{"weight_map":{"far":"far.bin","hole":"far.bin"}}');
        return index;
      },
    },
  ],
  [
    'torch',
    {
      async write(source, folder) {
        const file = path.join(folder, 'pytorch_model.bin');
        writeFileSync(file, await torchCheckpoint(source));
        return file;
      },
      writeFar(folder, offset, bytes) {
        const file = path.join(folder, 'pytorch_model.bin');
        sparseTorch(file, offset, bytes);
        return file;
      },
      magic: /^(?:PK|\x80)/,
    },
  ],
];

function sparseSafetensors(file: string, holeBytes: number, bytes: Uint8Array): void {
  const end = holeBytes + bytes.length;
  const header = JSON.stringify({
    hole: { dtype: 'U8', shape: [holeBytes], data_offsets: [0, holeBytes] },
    far: { dtype: 'U8', shape: [bytes.length], data_offsets: [holeBytes, end] },
  });
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  const handle = openSync(file, 'w');
  writeSync(handle, prefix);
  writeSync(handle, header);
  ftruncateSync(handle, 8 + header.length + end);
  writeSync(handle, bytes, 0, bytes.length, 8 + header.length + holeBytes);
  closeSync(handle);
}

const GGUF_METADATA: GgufMetadata = new Map<string, GgufValue>([
  ['general.architecture', { type: 'string', value: 'llama' }],
  ['llama.block_count', { type: 'u32', value: 2 }],
  ['tokenizer.ggml.scores', { type: 'array', of: 'f32', values: [0.1, -0] }],
]);

function sparseGguf(file: string, holeBytes: number, bytes: Uint8Array): void {
  const hole = Math.ceil(holeBytes / 32) * 32;
  const header = ggufBytes({
    // 24 is ggml's I8.
    entries: [
      entry({ name: 'hole', ne: [hole], type: 24 }),
      entry({ name: 'far', ne: [bytes.length], type: 24, offset: hole }),
    ],
  });
  const handle = openSync(file, 'w');
  writeSync(handle, header);
  writeSync(handle, bytes, 0, bytes.length, header.length + hole);
  closeSync(handle);
}

/** Some of a checkpoint's tensors, with the texts that are about them. */
function part(source: Checkpoint, names: readonly string[]): Checkpoint {
  const metadata = Object.entries(source.metadata).filter(
    ([, text]) => !source.tensors.has(text) || names.includes(text),
  );
  return {
    ...source,
    tensors: new Map(names.map((name) => [name, source.tensors.get(name)!])),
    metadata: Object.fromEntries(metadata),
  };
}

function sparseTorch(file: string, holeBytes: number, bytes: Uint8Array): void {
  const view = (key: string, elements: number): Buffer =>
    tensor(storage('ByteStorage', key, elements), { shape: [elements], strides: [1] });
  const data = pickle(dict([text('hole'), view('0', holeBytes)], [text('far'), view('1', bytes.length)]));
  const [pickled, ...others] = torchMembers(data, [new Uint8Array(0), bytes]);
  writeZip(file, layOutZip([pickled!, { ...others[0]!, holeBytes }, ...others.slice(1)]));
}

const source = () =>
  memoryCheckpoint(
    {
      'model.norm.weight': f32([4], [1, -2, 0.5, 3]),
      'lm_head.weight': { dtype: 'BF16', shape: [5, 4], bytes: patterned(40) },
      ids: { dtype: 'I64', shape: [2], bytes: patterned(16, 2) },
      empty: f32([0, 3], []),
      scalar: f32([], [7]),
    },
    { metadata: { format: 'pt', 'model.embed_tokens.weight': 'lm_head.weight' } },
  );

it('covers every format, in their order', () => {
  expect(FIXTURES).toHaveLength(formats.length);
});

describe.each(FIXTURES)('%s', (name, { write, writeFar, texts, magic, spare }) => {
  const format = formats[FIXTURES.findIndex(([fixture]) => fixture === name)]!;

  it('recognises its own files first among all formats, and not another’s', async () => {
    const file = await write(source(), temporaryFolder());
    const head = readFileSync(file).subarray(0, 16);
    expect(formats.find((candidate) => candidate.recognises(head, file))).toBe(format);
    for (const other of [
      Buffer.from('GGUF\x03\0\0\0'),
      Buffer.from('PK\x03\x04'),
      Buffer.from('\x80\x02}'),
      Buffer.alloc(0),
    ]) {
      if (magic?.test(other.toString('latin1'))) continue;
      expect(format.recognises(other, '/models/weights')).toBe(false);
    }
  });

  it('reads every tensor, alias and text that was written', async () => {
    const checkpoint = await openCheckpoint(await write(source(), temporaryFolder()));
    const written = source();
    expect(checkpoint.format).toBe(format.name);
    expect(checkpoint.tensors).toEqual(written.tensors);
    expect([...checkpoint.tensors.keys()]).toEqual([...written.tensors.keys()].sort());
    expect(checkpoint.metadata).toEqual(texts?.metadata ?? written.metadata);
    const aliases = texts?.aliases ?? ['model.embed_tokens.weight'];
    expect([...checkpoint.aliases]).toEqual(aliases.map((alias) => [alias, 'lm_head.weight']));
    for (const tensor of written.tensors.keys())
      expect(await checkpoint.read(tensor)).toEqual(await written.read(tensor));
    for (const tensor of ['lm_head.weight', ...aliases])
      expect(await checkpoint.read(tensor, { offset: 8, length: 8 })).toEqual(patterned(40).slice(8, 16));
    await checkpoint.close();
  });

  it('writes the same bytes each time', async () => {
    const [first, second] = [await write(source(), temporaryFolder()), await write(source(), temporaryFolder())];
    expect(readFileSync(first)).toEqual(readFileSync(second));
  });

  it('reads beyond 4 GiB', async () => {
    const bytes = patterned(1000);
    const checkpoint = await openCheckpoint(writeFar(temporaryFolder(), 2 ** 32 + 8, bytes));
    expect(await checkpoint.read('far')).toEqual(bytes);
    expect(await checkpoint.read('far', { offset: 500, length: 500 })).toEqual(bytes.slice(500));
    await checkpoint.close();
  });

  it('refuses its file at every length that it can be cut to, naming it', async () => {
    const file = await write(source(), temporaryFolder());
    const whole = readFileSync(file);
    const meaningful = whole.length - (spare?.(whole) ?? 0);
    for (let length = 0; length < meaningful; length += 1) {
      truncateSync(file, length);
      const error = await openCheckpoint(file).then(
        (checkpoint) => checkpoint.close(),
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(BirdboneError);
      expect(error).toMatchObject({ code: 'unreadable', file });
      writeFileSync(file, whole);
    }
  });

  it('closes what it opened, also after a refusal', async () => {
    const opened = () => (process.platform === 'linux' ? openFiles() : 0);
    const file = await write(source(), temporaryFolder());
    const before = opened();
    const checkpoint = await openCheckpoint(file);
    await checkpoint.close();
    const whole = readFileSync(file);
    truncateSync(file, whole.length - (spare?.(whole) ?? 0) - 3);
    await expect(openCheckpoint(file)).rejects.toThrow();
    expect(opened()).toBe(before);
  });
});

/** Descriptors of this process that lead to checkpoints. */
function openFiles(): number {
  return readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`).includes('birdbone-checkpoint-');
    } catch {
      // The descriptor of this listing is closed by now.
      return false;
    }
  }).length;
}
