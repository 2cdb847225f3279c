import { crc32 } from 'node:zlib';
import {
  bytesOf,
  type Draft,
  type Group,
  mutateDraft,
  raw,
  serialize,
  sizeOf,
  u16,
  u32,
  u64,
  type Vocabulary,
  withValues,
} from '../binary-draft.js';
import type { FuzzFormat } from '../fuzz-format.js';
import { mutateBytes } from '../mutate-bytes.js';
import { HOSTILE_OPCODES, PICKLE_TEXTS, type PickledTensor, stateDict, storagesOf, TENSORS } from '../pickle-draft.js';
import type { Random } from '../random.js';
import { checkTorch } from './torch-check.js';

interface Archive {
  readonly pickle: Draft;
  readonly members: readonly (readonly [name: string, bytes: Uint8Array])[];
}

const archive = (tensors: readonly PickledTensor[]): Archive => ({
  pickle: stateDict(tensors),
  members: [
    ['model/version', Buffer.from('3\n')],
    ['model/byteorder', Buffer.from('little')],
    ...[...storagesOf(tensors)].map(([key, { bytes }]) => [`model/data/${key}`, bytes] as const),
  ],
});
const ARCHIVES = [archive(TENSORS.slice(0, 1)), archive(TENSORS.slice(0, 4)), archive(TENSORS)];

/** Local header and data; PKWARE's APPNOTE.TXT, 4.3.7. */
function local(name: string, bytes: Uint8Array): Group {
  return {
    kind: 'local',
    fields: [
      ...[u32('signature', 0x04034b50), u16('version', 0), u16('flags', 0x800), u16('method', 0), u32('time', 0)],
      ...[u32('crc', 0), u32('stored', 0), u32('size', 0), u16('name bytes', 0), u16('extra bytes', 0)],
      ...[raw('name', name), raw('extra', ''), raw('data', bytes)],
    ],
  };
}

/** Entry of the central directory; 4.3.12. */
function entry(name: string): Group {
  return {
    kind: 'entry',
    fields: [
      ...[u32('signature', 0x02014b50), u16('made by', 0), u16('version', 0), u16('flags', 0x800), u16('method', 0)],
      ...[u32('time', 0), u32('crc', 0), u32('stored', 0), u32('size', 0), u16('name bytes', 0), u16('extra bytes', 0)],
      ...[u16('comment bytes', 0), u16('disk', 0), u16('internal', 0), u32('attributes', 0), u32('offset', 0)],
      ...[raw('name', name), raw('extra', ''), raw('comment', '')],
    ],
  };
}

const END: Group = {
  kind: 'end',
  fields: [
    ...[u32('signature', 0x06054b50), u16('disk', 0), u16('first disk', 0), u16('here', 0), u16('members', 0)],
    ...[u32('directory bytes', 0), u32('directory', 0), u16('comment bytes', 0), raw('comment', '')],
  ],
};
/** The zip64 record and its locator; 4.3.14 and 4.3.15. */
const END64: Group = {
  kind: 'end64',
  fields: [
    ...[u32('signature', 0x06064b50), u64('rest', 44), u16('made by', 45), u16('version', 45), u32('disk', 0)],
    ...[u32('first disk', 0), u64('here', 0), u64('members', 0), u64('directory bytes', 0), u64('directory', 0)],
    ...[u32('locator', 0x07064b50), u32('its disk', 0), u64('end64', 0), u32('disks', 1)],
  ],
};

function layOut({ pickle, members }: Archive, wide: boolean): Draft {
  const all: Archive['members'] = [['model/data.pkl', serialize(pickle)], ...members];
  return repaired([
    ...all.map(([name, bytes]) => local(name, bytes)),
    ...all.map(([name]) => entry(name)),
    ...(wide ? [END64] : []),
    END,
  ]);
}

/** Sizes, sums and places as they would have to be; flags, methods and names stay what they are. */
function repaired(draft: Draft): Draft {
  let at = 0;
  const locals: { group: Group; offset: number }[] = [];
  const fixed = draft.map((group) => {
    let honest = group;
    if (group.kind === 'local') {
      honest = withSums(group, dataOf(group));
      locals.push({ group: honest, offset: at });
    } else if (group.kind === 'entry') {
      const mine = locals.find((candidate) => nameOf(candidate.group) === nameOf(group));
      honest = withSums(group, mine === undefined ? Buffer.alloc(0) : dataOf(mine.group));
      if (mine !== undefined) honest = withValues(honest, { offset: BigInt(mine.offset) });
    }
    at += sizeOf(honest);
    return honest;
  });
  return fixed.map((group, i) => (group.kind.startsWith('end') ? withDirectory(fixed, i) : group));
}

function withDirectory(draft: Draft, at: number): Group {
  const before = (kind: string) => draft.slice(0, at).filter((group) => group.kind === kind);
  const bytes = before('entry').reduce((sum, group) => sum + sizeOf(group), 0);
  const end = draft.slice(0, at).reduce((sum, group) => sum + sizeOf(group), 0);
  const directory = end - bytes - before('end64').reduce((sum, group) => sum + sizeOf(group), 0);
  const members = BigInt(before('entry').length);
  const values = { here: members, members, 'directory bytes': BigInt(bytes), directory: BigInt(directory) };
  return withValues(draft[at]!, { ...values, end64: BigInt(end) });
}

function withSums(group: Group, data: Uint8Array): Group {
  const size = BigInt(data.length);
  const bytesIn = (label: string) => BigInt(fieldBytes(group, label).length);
  return withValues(group, {
    ...{ crc: BigInt(crc32(data)), stored: size, size },
    ...{ 'name bytes': bytesIn('name'), 'extra bytes': bytesIn('extra'), 'comment bytes': bytesIn('comment') },
  });
}

function fieldBytes(group: Group, label: string): Uint8Array {
  const field = group.fields.find((candidate) => candidate.label === label);
  return field === undefined ? new Uint8Array(0) : bytesOf(field);
}

const dataOf = (group: Group): Uint8Array => fieldBytes(group, 'data');
const nameOf = (group: Group): string => Buffer.from(fieldBytes(group, 'name')).toString('latin1');

/** A sound archive with these tensors. */
export function torchArchive(tensors: readonly PickledTensor[]): Uint8Array {
  return serialize(layOut(archive(tensors), false));
}

const LAID_OUT = ARCHIVES.flatMap((each) => [layOut(each, false), layOut(each, true)]);
const SOUND = LAID_OUT.map(serialize);
const PICKLES: Vocabulary = { groups: HOSTILE_OPCODES, texts: PICKLE_TEXTS };
const ZIPS: Vocabulary = {
  groups: [...LAID_OUT[3]!, ...LAID_OUT[0]!, { kind: 'gap', fields: [raw('gap', 'PK\x03\x04')] }],
  texts: [
    ...[
      'model/data.pkl',
      'model/data/0',
      'model/data/1',
      'model/code/x.py',
      '../data.pkl',
      '/data.pkl',
      'other/data.pkl',
      '',
    ],
    ...[
      'model/version',
      'model/data/../0',
      'model\\data',
      '\x01\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x01',
      '3\n',
      'big',
    ],
  ].map((word) => Buffer.from(word, 'latin1')),
};

export const torchZip: FuzzFormat = {
  name: 'torch-zip',
  sound: SOUND,
  mutate(random: Random) {
    if (random.oneIn(8)) return mutateBytes(random.pick(SOUND), random, SOUND);
    if (random.oneIn(2)) return serialize(layOut(mutatedPickle(random.pickEarly(ARCHIVES), random), random.oneIn(4)));
    let draft = random.pickEarly(LAID_OUT);
    for (let steps = 1 + random.below(3); steps > 0; steps -= 1) {
      draft = mutateDraft(draft, random, ZIPS);
      if (random.oneIn(2)) draft = repaired(draft);
    }
    const bytes = serialize(draft);
    return random.oneIn(5) ? mutateBytes(bytes, random, SOUND) : bytes;
  },
  check: checkTorch,
};

/** The zip around it stays honest: otherwise its sums would hide the pickle from the reader. */
function mutatedPickle({ pickle, members }: Archive, random: Random): Archive {
  let draft = pickle;
  for (let steps = 1 + random.below(3); steps > 0; steps -= 1) draft = mutateDraft(draft, random, PICKLES);
  return { pickle: draft, members };
}
