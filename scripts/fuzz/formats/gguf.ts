import type { Checkpoint } from '../../../src/checkpoint/checkpoint.js';
import { ggufMetadata, gguf as reader } from '../../../src/checkpoint/gguf/gguf.js';
import {
  type Draft,
  type Group,
  mutateDraft,
  numberIn,
  raw,
  serialize,
  sizeOf,
  u8,
  u32,
  u64,
  type Vocabulary,
  withValues,
} from '../binary-draft.js';
import type { FuzzFormat, Verdict } from '../fuzz-format.js';
import { mutateBytes } from '../mutate-bytes.js';
import { checkPlaces, checkTensors, watchedBytes } from '../opened.js';
import type { Random } from '../random.js';
import { checkRefusal } from '../refusal.js';

const PATH = '/fuzz/model.gguf';

/** ggml's number, elements and bytes of a block (ggml/src/ggml-common.h). */
const TYPES: Readonly<Record<string, readonly [number: number, elements: number, bytes: number]>> = {
  ...{ F32: [0, 1, 4], F16: [1, 1, 2], BF16: [30, 1, 2], F64: [28, 1, 8] },
  ...{ I8: [24, 1, 1], I16: [25, 1, 2], I32: [26, 1, 4], I64: [27, 1, 8] },
  ...{ Q4_0: [2, 32, 18], Q4_1: [3, 32, 20], Q5_0: [6, 32, 22], Q5_1: [7, 32, 24], Q8_0: [8, 32, 34] },
  ...{ Q2_K: [10, 256, 84], Q3_K: [11, 256, 110], Q4_K: [12, 256, 144], Q5_K: [13, 256, 176], Q6_K: [14, 256, 210] },
  ...{ IQ4_NL: [20, 32, 18], IQ4_XS: [23, 256, 136] },
};

const text = (label: string, value: string) => [u64('length', Buffer.byteLength(value)), raw(label, value)];
const pair = (key: string, type: number, ...value: readonly Group['fields'][number][]): Group => ({
  kind: 'pair',
  fields: [...text('key', key), u32('type', type), ...value],
});
const tensor = (name: string, type: string, ...dimensions: readonly number[]): Group => ({
  kind: 'tensor',
  fields: [
    ...text('name', name),
    u32('dimensions', dimensions.length),
    ...dimensions.map((size) => u64('size', size)),
    u32('type', TYPES[type]![0]),
    u64('offset', 0),
  ],
});

const PAIRS: readonly Group[] = [
  pair('general.architecture', 8, ...text('text', 'llama')),
  pair('general.alignment', 4, u32('alignment', 32)),
  pair('a.u8', 0, u8('value', 1)),
  pair('a.i16', 3, raw('value', '\x01\x02')),
  pair('a.f32', 6, u32('value', 0x3f80_0000)),
  pair('a.bool', 7, u8('value', 1)),
  pair('a.u64', 10, u64('value', 2n ** 64n - 1n)),
  pair('tokens', 9, u32('of', 8), u64('count', 3), ...['a', 'bc', ''].flatMap((token) => text('text', token))),
  pair('scores', 9, u32('of', 6), u64('count', 2), u32('value', 0), u32('value', 1)),
  pair('flags', 9, u32('of', 7), u64('count', 2), u8('value', 0), u8('value', 1)),
  pair('nested', 9, u32('of', 9), u64('count', 1), u32('of', 0), u64('count', 2), u8('value', 1), u8('value', 2)),
  pair('empty', 9, u32('of', 10), u64('count', 0)),
];
const TENSORS: readonly Group[] = [
  tensor('blk.0.attn_q.weight', 'F32', 4, 2),
  tensor('token_embd.weight', 'F16', 3),
  ...Object.keys(TYPES).map((type, i) => tensor(`t.${i}`, type, TYPES[type]![1], 2)),
  tensor('scalar', 'F32'),
  tensor('none', 'I8', 0, 7),
];
const VOCABULARY: Vocabulary = {
  groups: [
    ...PAIRS,
    ...TENSORS,
    pair('split.count', 2, raw('value', '\x03\x00')),
    { kind: 'gap', fields: [u64('gap', 0)] },
  ],
  texts: ['general.alignment', 'tokens', 't.0', '', '\0', '\xff\xfe', 'a'.repeat(64), 'a'.repeat(130)].map((word) =>
    Buffer.from(word, 'latin1'),
  ),
};

const DRAFTS: readonly Draft[] = [
  [[], []],
  [PAIRS.slice(0, 1), TENSORS.slice(0, 2)],
  [PAIRS, TENSORS.slice(0, 4)],
  [PAIRS.slice(0, 3), TENSORS],
].map(([pairs, tensors]) => repaired([head(3), ...pairs!, ...tensors!, { kind: 'data', fields: [raw('data', '')] }]));
const SOUND = DRAFTS.map(serialize);

function head(version: number): Group {
  return { kind: 'head', fields: [raw('magic', 'GGUF'), u32('version', version), u64('tensors', 0), u64('pairs', 0)] };
}

/** The draft with counts, lengths, offsets and data that fit what it holds otherwise, as far as they can. */
function repaired(draft: Draft): Draft {
  const count = (kind: string) => BigInt(draft.filter((group) => group.kind === kind).length);
  let end = 0n;
  const fixed = draft.map((group) => {
    if (group.kind === 'head') return withValues(group, { tensors: count('tensor'), pairs: count('pair') });
    const honest = withHonestLengths(group);
    if (group.kind !== 'tensor') return honest;
    const offset = roundUp(end);
    end = offset + bytesOfTensor(honest);
    return withValues(honest, { offset });
  });
  const before = fixed.filter(({ kind }) => kind !== 'data').reduce((sum, group) => sum + BigInt(sizeOf(group)), 0n);
  const size = roundUp(before) - before + end;
  const data = size < 20_000n ? Buffer.alloc(Number(size), 0x2a) : Buffer.alloc(64);
  return fixed.map((group) => (group.kind === 'data' ? { kind: 'data', fields: [raw('data', data)] } : group));
}

function withHonestLengths(group: Group): Group {
  const fields = group.fields.map((field, i) => {
    const next = group.fields[i + 1]?.value;
    return field.label === 'length' && next instanceof Uint8Array ? { ...field, value: BigInt(next.length) } : field;
  });
  return { kind: group.kind, fields };
}

function bytesOfTensor(group: Group): bigint {
  const [, elements, bytes] = Object.values(TYPES).find(([number]) => BigInt(number) === numberIn(group, 'type')) ?? [
    0, 1, 1,
  ];
  const sizes = group.fields.filter(({ label }) => label === 'size').map(({ value }) => value as bigint);
  return (sizes.reduce((product, size) => product * size, 1n) * BigInt(bytes)) / BigInt(elements);
}

function roundUp(position: bigint): bigint {
  return ((position + 31n) / 32n) * 32n;
}

export const gguf: FuzzFormat = {
  name: 'gguf',
  sound: SOUND,
  mutate(random: Random) {
    if (random.oneIn(6)) return mutateBytes(random.pick(SOUND), random, SOUND);
    let draft = random.pick(DRAFTS);
    for (let steps = 1 + random.below(4); steps > 0; steps -= 1) {
      draft = mutateDraft(draft, random, VOCABULARY);
      if (random.oneIn(2)) draft = repaired(draft);
    }
    const bytes = serialize(draft);
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
    await checkTensors(checkpoint, (dtype) => {
      const [, elements, blockBytes] = TYPES[dtype]!;
      return { bytes: blockBytes, elements };
    });
    await checkPlaces(checkpoint, source);
    // Arrays are decoded when they are first looked at.
    for (const value of ggufMetadata(checkpoint)!.values()) if (value.type === 'array') void value.values.length;
    await checkpoint.close();
    return 'opened';
  },
};
