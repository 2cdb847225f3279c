import type { Checkpoint } from '../../../src/checkpoint/checkpoint.js';
import { safetensors as reader } from '../../../src/checkpoint/safetensors/safetensors.js';
import { referenceVerdict } from '../../../test/hostile/reference-verdict.js';
import { boundary } from '../boundary.js';
import { BrokenInvariant, type FuzzFormat, type Verdict } from '../fuzz-format.js';
import { copyOf, type JsonEntries, type JsonTree, textOf, treeOf } from '../json-tree.js';
import { mutateBytes } from '../mutate-bytes.js';
import { mutateJson } from '../mutate-json.js';
import { checkPlaces, checkTensors, watchedBytes } from '../opened.js';
import type { Random } from '../random.js';
import { checkRefusal } from '../refusal.js';

const PATH = '/fuzz/model.safetensors';

/** Bits of one element, from the reference's table (safetensors/src/tensor.rs, `Dtype::bitsize`). */
const BITS: Readonly<Record<string, number>> = {
  ...{ BOOL: 8, F4: 4, F6_E2M3: 6, F6_E3M2: 6, U8: 8, I8: 8, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8, I16: 16, U16: 16 },
  ...{ F16: 16, BF16: 16, I32: 32, U32: 32, F32: 32, C64: 64, F64: 64, I64: 64, U64: 64 },
};
const WORDS = [...Object.keys(BITS), 'F128', 'w.0', 'w.1', 'format', 'tied'].map((word) => JSON.stringify(word));

interface Draft {
  readonly header: JsonTree;
  readonly data: Uint8Array;
}

const entry = (dtype: string, shape: readonly number[], from: number, to: number) => ({
  dtype,
  shape,
  data_offsets: [from, to],
});

const HEADERS: readonly Readonly<Record<string, unknown>>[] = [
  {},
  { w: entry('F32', [2, 2], 0, 16) },
  {
    __metadata__: { format: 'pt', tied: 'w.0' },
    'w.0': entry('F32', [2, 3], 0, 24),
    'w.1': entry('BF16', [4], 24, 32),
    s: entry('U8', [], 32, 33),
    e: entry('I64', [0, 7], 33, 33),
    p: entry('F4', [6], 33, 36),
  },
  Object.fromEntries(
    Object.keys(BITS).map((dtype, i) => [`blocks.${i}.${dtype}`, entry(dtype, [8], sumOfBits(i), sumOfBits(i + 1))]),
  ),
];

/** Of the first so many types: where eight elements of each end. */
function sumOfBits(types: number): number {
  return Object.values(BITS)
    .slice(0, types)
    .reduce((sum, bits) => sum + bits, 0);
}

const DRAFTS: readonly Draft[] = HEADERS.map((header) => ({ header: treeOf(header), data: patternFor(header) }));

function patternFor(header: Readonly<Record<string, unknown>>): Uint8Array {
  const ends = Object.values(header).map((tensor) => (tensor as { data_offsets?: number[] }).data_offsets?.[1] ?? 0);
  return Uint8Array.from({ length: Math.max(0, ...ends) }, (_, i) => (i * 31 + 24) % 251);
}

function serialize({ header, data }: Draft, declared?: bigint, padding = 0): Buffer {
  const text = Buffer.from(textOf(header) + ' '.repeat(padding));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(declared ?? BigInt(text.length));
  return Buffer.concat([prefix, text, data]);
}

const SOUND = DRAFTS.map((draft) => serialize(draft));

export const safetensors: FuzzFormat = {
  name: 'safetensors',
  sound: SOUND,
  mutate(random) {
    if (random.oneIn(6)) return mutateBytes(random.pick(SOUND), random, SOUND);
    let draft = random.pick(DRAFTS);
    for (let steps = 1 + random.below(3); steps > 0; steps -= 1) draft = random.pick(DRAFT_MUTATIONS)(draft, random);
    const length = BigInt(Buffer.byteLength(textOf(draft.header)));
    const bytes = serialize(draft, random.oneIn(8) ? boundary(random, length) : undefined, random.oneIn(4) ? 3 : 0);
    return random.oneIn(4) ? mutateBytes(bytes, random, SOUND) : bytes;
  },
  async check(bytes): Promise<Verdict> {
    const source = watchedBytes(PATH, bytes);
    let checkpoint: Checkpoint;
    try {
      checkpoint = await reader.open(source);
    } catch (error) {
      checkRefusal(error, PATH);
      return 'refused';
    }
    await checkTensors(checkpoint, (dtype) => ({ bits: BITS[dtype]! }));
    await checkPlaces(checkpoint, source);
    await checkAgainstReference(checkpoint, bytes);
    await checkpoint.close();
    return 'opened';
  },
};

type DraftMutation = (draft: Draft, random: Random) => Draft;

const DRAFT_MUTATIONS: readonly DraftMutation[] = [
  ({ header, data }, random) => ({ header: mutateJson(header, random, WORDS), data }),
  ({ header, data }, random) => ({ header: mutateJson(header, random, WORDS), data }),
  (draft, random) => changeOneTensor(draft, random),
  (draft, random) => changeOneTensor(draft, random),
  ({ header, data }, random) => ({ header, data: data.subarray(0, random.below(data.length + 1)) }),
  ({ header, data }, random) => ({ header, data: Buffer.concat([data, Buffer.alloc(random.below(16), 7)]) }),
];

/** Changes that keep an entry well-formed, and often right: what the checks of the layout are for. */
function changeOneTensor({ header, data }: Draft, random: Random): Draft {
  const changed = copyOf(header);
  if (typeof changed === 'string' || changed.kind === 'list' || changed.values.length === 0) return { header, data };
  const at = random.below(changed.values.length);
  const tensor = changed.values[at]!;
  if (typeof tensor === 'string' || tensor.kind === 'list') return { header: changed, data };
  random.pick(TENSOR_MUTATIONS)(tensor, random, data.length);
  if (random.oneIn(8)) changed.keys[at] = random.pick(WORDS);
  return { header: changed, data };
}

type TensorMutation = (tensor: JsonEntries, random: Random, dataBytes: number) => void;

const TENSOR_MUTATIONS: readonly TensorMutation[] = [
  (tensor, random) => setField(tensor, '"dtype"', random.pick(WORDS)),
  (tensor, random) => {
    // Factors whose product is small when it wraps, or that the same bytes would fill as well.
    const sizes = Array.from({ length: random.below(5) }, () => boundary(random, 4n));
    setField(tensor, '"shape"', `[${sizes}]`);
  },
  (tensor, random) => setField(tensor, '"shape"', random.pick(['[]', '[0]', '[2,2]', '[4]', '[1,4]', '[6,1]', '[24]'])),
  (tensor, random, dataBytes) => {
    const from = random.below(dataBytes + 2);
    setField(tensor, '"data_offsets"', `[${from},${from + random.below(dataBytes + 2)}]`);
  },
  (tensor, random) => setField(tensor, '"data_offsets"', `[${boundary(random)},${boundary(random)}]`),
  (tensor, random, dataBytes) => {
    const from = random.below(dataBytes + 1);
    setField(tensor, '"dtype"', '"U8"');
    setField(tensor, '"shape"', `[${dataBytes - from}]`);
    setField(tensor, '"data_offsets"', `[${from},${dataBytes}]`);
  },
];

function setField(tensor: JsonEntries, key: string, value: string): void {
  const at = tensor.keys.indexOf(key);
  if (at !== -1) tensor.values[at] = value;
}

/** What is opened must be what the reference implementation would open, tensor by tensor and byte by byte. */
async function checkAgainstReference(checkpoint: Checkpoint, bytes: Uint8Array): Promise<void> {
  const reference = referenceVerdict(bytes);
  if (reference === undefined) throw new BrokenInvariant('the reference refuses this file');
  if (reference.size !== checkpoint.tensors.size) throw new BrokenInvariant('the reference has other tensors');
  for (const [name, tensor] of reference) {
    const info = checkpoint.tensors.get(name);
    if (info?.dtype !== tensor.dtype || String(info.shape) !== String(tensor.shape))
      throw new BrokenInvariant(`the reference reads ${name} as ${tensor.dtype} [${tensor.shape}]`);
    if (Buffer.compare(await checkpoint.read(name), tensor.bytes) !== 0)
      throw new BrokenInvariant(`the reference reads other bytes of ${name}`);
  }
}
